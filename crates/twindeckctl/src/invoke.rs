//! `invoke`: one direct method.

use std::time::Instant;

use hub_protocol::method::MethodRequest;
use serde_json::{Value, json};

use crate::{
    arguments::{Call, Invoke},
    connection::Connection,
    failure::{Failure, Result},
    input,
    output::Output,
};

pub(crate) async fn run(arguments: Invoke, connection: &Connection, output: Output) -> Result<()> {
    let request = request(&arguments.call)?;
    let target = connection.open()?;
    let began = Instant::now();
    let answer = target.client.invoke_method(&arguments.device, &request).await?;
    let took = began.elapsed().as_millis();
    let value = json!({ "status": answer.status, "payload": answer.payload, "durationMs": u64::try_from(took).unwrap_or(u64::MAX) });
    let text = || format!("status {} after {took} ms\n{:#}", answer.status, answer.payload);
    output.result(text, &value)
}

pub(crate) fn payload(call: &Call) -> Result<Value> {
    serde_json::from_str(&input::read(&call.payload)?).map_err(|error| {
        Failure::usage(
            format!("The payload is not JSON: {error}."),
            "Quote it for the shell; a text needs its own quotes: --payload '\"on\"'.",
        )
    })
}

fn request(call: &Call) -> Result<MethodRequest> {
    let request = MethodRequest {
        response_timeout_in_seconds: call.response_timeout,
        connect_timeout_in_seconds: call.connect_timeout,
        ..MethodRequest::new(&call.method, payload(call)?)
    };
    let checked = request.check();
    checked.map_err(|problem| Failure::usage(format!("{problem}."), "Run twindeckctl invoke --help."))?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoke(payload: &str, response_timeout: u32, connect_timeout: u32) -> Result<MethodRequest> {
        request(&Call {
            method: "m".into(),
            payload: payload.into(),
            response_timeout,
            connect_timeout,
        })
    }

    #[test]
    fn a_payload_that_is_not_json_or_too_large_is_a_usage_error() {
        let large = format!("\"{}\"", "x".repeat(128 * 1024));
        for payload in ["{", "on", large.as_str()] {
            assert!(matches!(invoke(payload, 30, 0), Err(Failure::Usage(_))));
        }
    }

    #[test]
    fn waiting_longer_for_the_connection_than_for_the_answer_is_a_usage_error() {
        assert!(matches!(invoke("null", 10, 11), Err(Failure::Usage(_))));
        assert!(invoke("null", 10, 10).is_ok());
    }
}
