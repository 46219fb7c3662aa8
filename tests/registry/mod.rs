//! The identity registry over REST.

mod bulk;
mod devices;
mod edge;
mod http;
mod import_export;
mod keys;
mod modules;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{object, rest::Answer, world::World};

impl World {
    /// `path` is `device` or `device/module`; `extra` goes into the body beside the ids.
    async fn put(&self, path: &str, condition: Option<&str>, extra: Value) -> Answer {
        let (path, mut body) = match path.split_once('/') {
            None => (format!("/devices/{path}"), json!({ "deviceId": path })),
            Some((device, module)) => (
                format!("/devices/{device}/modules/{module}"),
                json!({ "deviceId": device, "moduleId": module }),
            ),
        };
        body.as_object_mut().unwrap().append(&mut object(extra));
        self.call(Method::PUT, &path, &if_match(condition), body.to_string())
            .await
    }

    async fn delete(&self, path: &str, condition: Option<&str>) -> Answer {
        self.call(Method::DELETE, path, &if_match(condition), String::new())
            .await
    }

    async fn bulk(&self, items: &[Value]) -> Answer {
        self.call(Method::POST, "/devices", &[], json!(items).to_string()).await
    }
}

fn if_match(condition: Option<&str>) -> Vec<(&str, &str)> {
    condition.map(|condition| ("If-Match", condition)).into_iter().collect()
}

fn etag(answer: &Answer) -> String {
    answer.body["etag"].as_str().unwrap().to_owned()
}

fn primary_key(answer: &Answer) -> String {
    let key = &answer.body["authentication"]["symmetricKey"]["primaryKey"];
    key.as_str().unwrap().to_owned()
}
