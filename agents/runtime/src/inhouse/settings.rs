//! How the in-house gateway shows what it has taken.

use peer::{Accepted, Connection, GatewayConfig, Misbehave};
use serde_json::Value;

/// Settings that hold secrets; they are never shown.
const SECRET: [&str; 3] = ["psk", "private_key", "password"];

/// What has been taken, an entry per connection, as proof.
pub(crate) fn accepted(config: &GatewayConfig) -> Vec<Accepted> {
    let mut accepted: Vec<Accepted> = config.connections.iter().map(connection).collect();
    if config.misbehave != Misbehave::default() {
        accepted.push(Accepted { what: "misbehaviour".into(), answer: changed(&config.misbehave, &Misbehave::default()) });
    }
    if config.clock_offset != 0 {
        accepted.push(Accepted { what: "clock".into(), answer: format!("{:+} s", config.clock_offset) });
    }
    accepted
}

fn connection(c: &Connection) -> Accepted {
    let nets = |nets: &[ipnet::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let peer = c.remote.map_or_else(|| "anybody".to_owned(), |ip| ip.to_string());
    let mut answer = format!("{} ({}) to {peer} ({}), IKE {}", c.local, c.local_id, c.remote_id, c.ike_proposals.join(" "));
    for child in c.children() {
        let head = if child.name == c.name { ", ".to_owned() } else { format!("; {}: ", child.name) };
        answer += &format!("{head}ESP {}, {} === {}", child.esp_proposals.join(" "), nets(&child.local_ts), nets(&child.remote_ts));
    }
    Accepted { what: format!("connection {}", c.name), answer }
}

/// The fields that differ from `usual`, as JSON.
fn changed(now: &Misbehave, usual: &Misbehave) -> String {
    let (mut now, usual) = (serde_json::to_value(now).unwrap_or_default(), serde_json::to_value(usual).unwrap_or_default());
    keep_changes(&mut now, &usual);
    now.to_string()
}

fn keep_changes(now: &mut Value, usual: &Value) {
    if let (Value::Object(now), Value::Object(usual)) = (now, usual) {
        now.retain(|key, value| Some(&*value) != usual.get(key));
        for (key, value) in now {
            keep_changes(value, usual.get(key).unwrap_or(&Value::Null));
        }
    }
}

/// The settings as JSON, for the evidence: without secrets.
pub(crate) fn shown(config: &GatewayConfig) -> String {
    let mut value = serde_json::to_value(config).unwrap_or_default();
    hide(&mut value);
    format!("{value:#}\n")
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| {
            if SECRET.contains(&key.as_str()) {
                *value = Value::from("(secret)");
            } else {
                hide(value);
            }
        }),
        Value::Array(all) => all.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let mut misbehave = Misbehave { omit_notify: vec![16388], ..Misbehave::default() };
        misbehave.switches.never_delete = true;
        assert_eq!(changed(&misbehave, &Misbehave::default()), r#"{"omit_notify":[16388],"switches":{"never_delete":true}}"#);
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut value = serde_json::json!({ "connections": [{ "psk": "open sesame", "auth": { "eap": { "password": "sesame" }, "private_key": [5] } }] });
        hide(&mut value);
        assert!(!value.to_string().contains("sesame") && !value.to_string().contains('5'), "{value}");
    }
}
