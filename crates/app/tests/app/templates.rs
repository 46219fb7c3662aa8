//! Templates as they are kept, through the application's own commands.

use twindeck_app::{
    App, Code, check_template,
    view::{NewTemplate, TemplateUse, TemplateVariable, TwinSection},
};

fn lock(name: &str, body: &str, default: Option<&str>) -> NewTemplate {
    NewTemplate {
        name: name.into(),
        used: TemplateUse::Method {
            method_name: "lockDoor".into(),
            response_timeout_seconds: 30,
            connect_timeout_seconds: 0,
        },
        body: body.into(),
        variables: vec![TemplateVariable {
            name: "time".into(),
            default: default.map(str::to_owned),
        }],
    }
}

fn values(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[tokio::test]
async fn a_template_is_kept_filled_replaced_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::open_on_free_ports(dir.path()).await.unwrap();
    let body = r#"{"lockTime": "{{time}}", "by": "{{who}}"}"#;
    let saved = app
        .save_template(lock(" Evening ", body, Some("8h")), false)
        .await
        .unwrap();
    assert_eq!(saved.template.name, "Evening");
    let names: Vec<&str> = saved
        .template
        .variables
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    assert_eq!(names, ["time", "who"], "every variable of the body, in order");

    let missing = app.fill_template(saved.id.clone(), values(&[])).await.unwrap_err();
    assert!(missing.message.contains("who") && missing.hint.is_some(), "{missing}");
    let filled = app
        .fill_template(saved.id.clone(), values(&[("who", "a \"guard\"")]))
        .await
        .unwrap();
    let filled: serde_json::Value = serde_json::from_str(&filled).unwrap();
    assert_eq!(filled, serde_json::json!({"lockTime": "8h", "by": "a \"guard\""}));

    let again = app.save_template(lock("Evening", "{}", None), false).await.unwrap_err();
    assert_eq!(again.code, Code::AlreadyExists);
    let replaced = app.save_template(lock("Evening", "{}", None), true).await.unwrap();
    assert_eq!(
        (replaced.id.as_str(), replaced.template.variables.len()),
        (saved.id.as_str(), 0)
    );

    // Still there for another run of the application.
    app.shutdown().await;
    drop(app);
    let app = App::open_on_free_ports(dir.path()).await.unwrap();
    assert_eq!(app.list_templates().await.unwrap().last(), Some(&replaced));
    app.delete_template(saved.id.clone()).await.unwrap();
    assert_eq!(
        app.delete_template(saved.id.clone()).await.unwrap_err().code,
        Code::NotFound
    );
    assert_eq!(
        app.fill_template(saved.id, values(&[])).await.unwrap_err().code,
        Code::NotFound
    );
    assert!(
        app.list_templates()
            .await
            .unwrap()
            .iter()
            .all(|template| template.built_in)
    );
}

#[tokio::test]
async fn what_cannot_be_a_template_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::open_on_free_ports(dir.path()).await.unwrap();
    let twin = NewTemplate {
        used: TemplateUse::Twin {
            section: TwinSection::Desired,
        },
        ..lock("Place", "[1]", None)
    };
    for (template, said) in [
        (lock("", "{}", None), "name"),
        (lock("a", "{\"a\": {{b}}}", None), "not JSON"),
        (lock("a", r#"{"{{b}}": 1}"#, None), "in values only"),
        (twin, "JSON object"),
    ] {
        let error = app.save_template(template, false).await.unwrap_err();
        assert!(
            error.code == Code::InvalidInput && error.message.contains(said),
            "{error}"
        );
    }
    let built_in = app
        .save_template(lock("Lock the door", "{}", None), true)
        .await
        .unwrap_err();
    assert_eq!(built_in.code, Code::AlreadyExists);
    assert!(
        app.list_templates()
            .await
            .unwrap()
            .iter()
            .all(|template| template.built_in)
    );
    assert_eq!(check_template(r#"["{{a}}", "{{b}}{{a}}"]"#).variables, ["a", "b"]);
    assert!(check_template("{").problem.unwrap().contains("line 1"));
}

#[tokio::test]
async fn the_flows_of_the_tutorials_are_built_in() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::open_on_free_ports(dir.path()).await.unwrap();
    let filled = async |id: &str, given: &[(&str, &str)]| -> serde_json::Value {
        serde_json::from_str(&app.fill_template(id.into(), values(given)).await.unwrap()).unwrap()
    };
    assert_eq!(filled("reboot", &[]).await, serde_json::json!({"method_number": "42"}));
    assert_eq!(filled("lock-door", &[]).await, serde_json::json!({"lockTime": "10m"}));
    assert_eq!(
        filled("door-place", &[("floor", "4")]).await,
        serde_json::json!({"building": 43, "floor": 4})
    );
    let reboot = app.list_templates().await.unwrap().swap_remove(0);
    assert!(matches!(
        reboot.template.used,
        TemplateUse::Method {
            response_timeout_seconds: 60,
            ..
        }
    ));
}
