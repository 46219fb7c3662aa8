//! Direct methods from the window, with a history of calls.

use std::time::Instant;

use hub_protocol::{DeviceId, method};
use rusqlite::params;
use serde_json::Value;

use crate::{
    App,
    error::{AppError, Code, Result},
    now,
    open_hub::count,
    view::{MethodCall, MethodRequest},
};

/// Calls kept for a device.
const KEPT: u32 = 200;

impl App {
    /// Returns when the device answered or the call failed; both are in the result. An error is
    /// only what was wrong before anything was sent.
    pub async fn invoke_method(&self, request: MethodRequest) -> Result<MethodCall> {
        let hub = self.hub()?;
        let device_id = DeviceId::new(request.device_id.clone())?;
        let wire = wire_request(&request)?;
        wire.check()
            .map_err(|error| AppError::invalid(format!("This call cannot be sent: {error}.")))?;
        let mut call = MethodCall {
            id: 0,
            device_id: request.device_id,
            method_name: request.method_name,
            payload_text: request.payload_text,
            response_timeout_seconds: request.response_timeout_seconds,
            connect_timeout_seconds: request.connect_timeout_seconds,
            started_at: now().to_string(),
            duration_ms: None,
            status: None,
            response_text: None,
            response_bytes: None,
            error: None,
        };
        call.id = self.store_call(&hub.saved.id, &call).await?;
        self.running_calls().insert(call.id);
        self.0.events.note(|pending| pending.calls.push(call.clone()));
        let started = Instant::now();
        let answer = hub.client.invoke_method(&device_id, &wire).await;
        call.duration_ms = Some(u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX));
        match answer {
            Ok(response) => {
                let text = response.payload.to_string();
                call.status = Some(response.status);
                call.response_bytes = Some(count(text.len()));
                call.response_text = Some(text);
            }
            Err(error) => call.error = Some(error.into()),
        }
        self.running_calls().remove(&call.id);
        self.update_call(&call).await?;
        self.0.events.note(|pending| pending.calls.push(call.clone()));
        Ok(call)
    }

    async fn store_call(&self, hub_id: &str, call: &MethodCall) -> Result<u32> {
        let (hub_id, device_id, document) = (hub_id.to_owned(), call.device_id.clone(), document(call));
        self.0
            .db
            .call(move |sql| {
                let insert = "INSERT INTO method_calls (hub_id, device_id, document) VALUES (?1, ?2, ?3)";
                sql.execute(insert, params![hub_id, device_id, document])?;
                let id = sql.last_insert_rowid();
                let old = "DELETE FROM method_calls WHERE hub_id = ?1 AND device_id = ?2 AND id NOT IN (
                    SELECT id FROM method_calls WHERE hub_id = ?1 AND device_id = ?2 ORDER BY id DESC LIMIT ?3)";
                sql.execute(old, params![hub_id, device_id, KEPT])?;
                Ok(u32::try_from(id).unwrap_or(u32::MAX))
            })
            .await
    }

    async fn update_call(&self, call: &MethodCall) -> Result<()> {
        let (id, document) = (call.id, document(call));
        let update = move |sql: &rusqlite::Connection| {
            sql.execute(
                "UPDATE method_calls SET document = ?2 WHERE id = ?1",
                params![id, document],
            )?;
            Ok(())
        };
        self.0.db.call(update).await
    }

    /// The newest first.
    pub async fn method_calls(&self, device_id: String) -> Result<Vec<MethodCall>> {
        let hub_id = self.hub()?.saved.id.clone();
        let rows = self.0.db.call(move |sql| {
            let select = "SELECT id, document FROM method_calls WHERE hub_id = ?1 AND device_id = ?2 ORDER BY id DESC";
            let mut statement = sql.prepare(select)?;
            let rows = statement.query_map([hub_id, device_id], |row| {
                Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        let mut calls = Vec::new();
        for (id, document) in rows.await? {
            calls.extend(self.stored_call(id, &document));
        }
        Ok(calls)
    }

    /// A call as it was kept; `None` when another version wrote it and this one cannot read it.
    pub(crate) fn stored_call(&self, id: u32, document: &str) -> Option<MethodCall> {
        let mut call = serde_json::from_str::<MethodCall>(document).ok()?;
        call.id = id;
        if call.duration_ms.is_none() && !self.running_calls().contains(&id) {
            call.duration_ms = Some(0);
            let text = "Twindeck was closed before the device answered. It may have acted.";
            call.error = Some(AppError::new(Code::DeviceTimeout, text).hint("Look at its twin before you call again."));
        }
        Some(call)
    }
}

fn document(call: &MethodCall) -> String {
    serde_json::to_string(call).unwrap_or_default()
}

fn wire_request(request: &MethodRequest) -> Result<method::MethodRequest> {
    let text = request.payload_text.trim();
    let payload = if text.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_str(text)
    };
    let payload = payload.map_err(|error| {
        AppError::invalid(format!(
            "The payload is not JSON: line {}, column {}.",
            error.line(),
            error.column()
        ))
        .hint("Texts need double quotes, and there may be no comma at the end.")
        .details(error)
    })?;
    Ok(method::MethodRequest {
        response_timeout_in_seconds: request.response_timeout_seconds,
        connect_timeout_in_seconds: request.connect_timeout_seconds,
        ..method::MethodRequest::new(request.method_name.trim(), payload)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(payload: &str) -> MethodRequest {
        MethodRequest {
            device_id: "d".into(),
            method_name: "rebootDevice".into(),
            payload_text: payload.into(),
            response_timeout_seconds: 60,
            connect_timeout_seconds: 0,
        }
    }

    #[test]
    fn an_empty_payload_is_null_and_bad_json_says_where() {
        assert_eq!(wire_request(&request("  ")).unwrap().payload, Value::Null);
        let error = wire_request(&request("{\n\"a\": }")).unwrap_err();
        assert!(error.message.contains("line 2"), "{}", error.message);
    }
}
