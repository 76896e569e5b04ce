//! How the in-house gateway shows what it has taken.

use peer::{Accepted, Connection, GatewayConfig, Misbehave};
use serde_json::Value;

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
    format!("{:#}\n", serde_json::to_value(config.without_secrets()).unwrap_or_default())
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
        let connection = Connection { psk: "open sesame".into(), ..Connection::plain("west", "east", [10, 9, 0, 1].into(), None) };
        let shown = shown(&GatewayConfig { connections: vec![connection], ..GatewayConfig::default() });
        assert!(!shown.contains("sesame") && shown.contains("sha256:") && shown.contains("west.example"), "{shown}");
    }
}
