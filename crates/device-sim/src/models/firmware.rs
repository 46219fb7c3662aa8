//! `firmwareUpdate`, reporting flat at the twin's root as the Python tutorial does: `standBy`,
//! `downloading`, `applying`, `completed`.
//!
//! Ours beyond the tutorial: the package is really downloaded and reported as `firmwarePackage`;
//! a `sha256` in the payload is checked; a failure is `firmwareStatus` = `failed` with
//! `firmwareError {code, message}`, for the tutorial knows no failure.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Url;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Behaviour, payload};
use crate::{
    download::{DownloadError, Package},
    handle::DeviceHandle,
    session::MethodCall,
};

pub(super) const METHOD: &str = "firmwareUpdate";

#[derive(Debug)]
struct Order {
    url: Url,
    sha256: Option<String>,
}

fn order(payload: &Value) -> Result<Order, &'static str> {
    let Some(uri) = payload["fwPackageUri"].as_str() else {
        return Err("fwPackageUri is missing; it is the http or https address of the package");
    };
    let url = Url::parse(uri).map_err(|_| "fwPackageUri is not an address")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("fwPackageUri must begin with http:// or https://");
    }
    let sha256 = match &payload["sha256"] {
        Value::Null => None,
        Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Some(text.to_ascii_lowercase())
        }
        _ => return Err("sha256 must be 64 hexadecimal digits"),
    };
    Ok(Order { url, sha256 })
}

/// The address as the twin may show it: its query often is a signature that opens a storage.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Fails only for addresses that cannot have a user, which `order` refuses.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// Lets the next update begin, also when this one is dropped midway.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

pub(super) async fn serve(device: &Behaviour, handle: &impl DeviceHandle, call: &MethodCall) {
    let order = match order(&payload(call)) {
        Ok(order) => order,
        Err(message) => return handle.respond(call, 400, json!({ "message": message })).await,
    };
    if device.updating.swap(true, Ordering::AcqRel) {
        let message = "a firmware update is running already";
        return handle.respond(call, 409, json!({ "message": message })).await;
    }
    let _running = Running(&device.updating);
    handle
        .respond(call, 200, json!({ "Response": "Firmware update started" }))
        .await;
    if let Err(error) = update(device, handle, order).await {
        let error = json!({ "code": error.code(), "message": error.to_string() });
        device
            .report(handle, json!({ "firmwareStatus": "failed", "firmwareError": error }))
            .await;
    }
}

async fn update(device: &Behaviour, handle: &impl DeviceHandle, order: Order) -> Result<(), DownloadError> {
    let times = &device.times;
    let begin = json!({ "firmwareStatus": "standBy", "logTime": handle.now(), "firmwareError": null });
    device.report(handle, begin).await;
    handle.sleep(times.stand_by).await;

    device.report(handle, json!({ "firmwareStatus": "downloading" })).await;
    let began = Instant::now();
    let uri = shown(&order.url);
    let package = verify(handle.download(order.url).await?, order.sha256)?;
    handle.sleep(times.downloading.saturating_sub(began.elapsed())).await;
    let downloaded = json!({
        "downloadComplete": handle.now(),
        "firmwarePackage": { "uri": uri, "size": package.size, "sha256": package.sha256 },
    });
    device.report(handle, downloaded).await;

    let applying = json!({ "firmwareStatus": "applying", "startedApplyingImage": handle.now() });
    device.report(handle, applying).await;
    handle.sleep(times.applying).await;
    handle.restart(times.off).await;

    let completed = json!({ "firmwareStatus": "completed", "lastFirmwareUpdate": handle.now() });
    device.report(handle, completed).await;
    Ok(())
}

fn verify(package: Package, expected: Option<String>) -> Result<Package, DownloadError> {
    match expected {
        Some(expected) if expected != package.sha256 => Err(DownloadError::ChecksumMismatch {
            expected,
            actual: package.sha256,
        }),
        _ => Ok(package),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{
        Model, Speed,
        recording::{Recording, call},
    };

    const URI: &str = "https://packages.example/fw-2.bin?sig=secret";

    #[tokio::test(start_paused = true)]
    async fn an_update_goes_through_the_tutorial_s_stages() {
        let record = Recording::serve(Model::Firmware, METHOD, json!({ "fwPackageUri": URI })).await;
        let never = "\"0001-01-01T00:00:00Z\"";
        let expected = [
            "0 respond 200 {\"Response\":\"Firmware update started\"}".to_owned(),
            format!("0 report {{\"firmwareStatus\":\"standBy\",\"logTime\":{never},\"firmwareError\":null}}"),
            "5 report {\"firmwareStatus\":\"downloading\"}".to_owned(),
            format!(
                "25 report {{\"downloadComplete\":{never},\"firmwarePackage\":{{\"uri\":\
                 \"https://packages.example/fw-2.bin\",\"size\":3,\"sha256\":\"abc\"}}}}"
            ),
            format!("25 report {{\"firmwareStatus\":\"applying\",\"startedApplyingImage\":{never}}}"),
            "45 restart".to_owned(),
            format!("45 report {{\"firmwareStatus\":\"completed\",\"lastFirmwareUpdate\":{never}}}"),
        ];
        assert_eq!(record, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_payload_sent_as_text_is_understood() {
        let text = json!({ "fwPackageUri": URI }).to_string();
        let record = Recording::serve(Model::Firmware, METHOD, Value::String(text)).await;
        assert!(record[0].contains("respond 200"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_without_a_usable_address_is_refused_at_once() {
        for bad in [
            json!(null),
            json!({}),
            json!({ "fwPackageUri": "fw.bin" }),
            json!({ "fwPackageUri": "file:///etc/passwd" }),
            json!({ "fwPackageUri": URI, "sha256": "short" }),
        ] {
            let record = Recording::serve(Model::Firmware, METHOD, bad).await;
            assert_eq!(record.len(), 1, "{record:?}");
            assert!(record[0].starts_with("0 respond 400"), "{record:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_download_ends_in_failed_with_its_reason() {
        let handle = Recording::new(Err(DownloadError::HttpStatus(404)));
        let device = Behaviour::new(Model::Firmware, Speed::Tutorial.times());
        device
            .serve(&handle, call(METHOD, json!({ "fwPackageUri": URI })))
            .await;
        let lines = handle.lines();
        assert_eq!(
            lines.last().unwrap(),
            "5 report {\"firmwareStatus\":\"failed\",\"firmwareError\":{\"code\":\"notFound\",\
             \"message\":\"the server answered 404\"}}"
        );
        assert!(!device.updating.load(Ordering::Acquire), "the next update may begin");
    }

    #[tokio::test(start_paused = true)]
    async fn another_package_than_the_one_ordered_is_not_applied() {
        let order = json!({ "fwPackageUri": URI, "sha256": "0".repeat(64) });
        let record = Recording::serve(Model::Firmware, METHOD, order).await;
        assert!(record.last().unwrap().contains("checksumMismatch"));
        assert!(!record.iter().any(|line| line.contains("applying")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_update_is_refused_while_one_runs() {
        let package = Package {
            size: 1,
            sha256: String::new(),
        };
        let handle = Recording::new(Ok(package));
        let device = Behaviour::new(Model::Firmware, Speed::Tutorial.times());
        let order = || call(METHOD, json!({ "fwPackageUri": URI }));
        tokio::join!(device.serve(&handle, order()), device.serve(&handle, order()));
        let lines = handle.lines();
        assert_eq!(lines.iter().filter(|line| line.contains("respond 409")).count(), 1);
        assert_eq!(lines.iter().filter(|line| line.contains("completed")).count(), 1);
    }
}
