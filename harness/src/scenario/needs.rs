//! What a side needs of the implementations that play its gateways.

use peer::{AuthMethod, Capability, EspMode, IkeMode, Misbehave};

use super::model::Plan;

impl Plan {
    /// What the settings of the gateways need of every implementation.
    pub fn needs(&self) -> Vec<Capability> {
        let connections = self.gateways.iter().flat_map(|g| &g.config.connections);
        let intermediate = self.gateways.iter().filter_map(|g| g.certificates.own.as_ref()).any(|own| own.intermediates > 0);
        connections
            .flat_map(|c| {
                let version = match c.ike {
                    IkeMode::V1Main => Capability::Ikev1,
                    IkeMode::V1Aggressive => Capability::Aggressive,
                    IkeMode::V2 => Capability::Ikev2,
                };
                let methods = [c.auth.own, c.auth.peer];
                let children = c.children();
                let proposals = || {
                    let of_children = children.iter().flat_map(|child| &child.esp_proposals);
                    c.ike_proposals.iter().chain(of_children)
                };
                let others = [
                    (c.mode == EspMode::Transport, Capability::Transport),
                    (children.iter().any(|child| !child.ah_proposals.is_empty()), Capability::Ah),
                    (!c.more_children.is_empty(), Capability::MoreChildren),
                    (methods.contains(&AuthMethod::Certificate), Capability::Certificates),
                    (intermediate, Capability::CertificateChains),
                    (methods.iter().any(|m| m.is_eap()), Capability::Eap),
                    (proposals().any(|p| has_additional_ke(p)), Capability::AdditionalKe),
                    (proposals().any(|p| p.contains("mlkem")), Capability::MlKem),
                ];
                std::iter::once(version).chain(others.into_iter().filter_map(|(needed, capability)| needed.then_some(capability)))
            })
            .collect()
    }

    /// What gateway number `index` alone needs.
    pub fn needs_of(&self, index: usize) -> Vec<Capability> {
        let Some(config) = self.gateways.get(index).map(|g| &g.config) else { return Vec::new() };
        let needs = [
            (config.misbehave != Misbehave::default(), Capability::Misbehave),
            (config.connections.iter().any(|c| !c.nat_traversal), Capability::NattOff),
        ];
        needs.into_iter().filter_map(|(needed, capability)| needed.then_some(capability)).collect()
    }
}

/// Does a proposal have `ke1_…` to `ke7_…`?
fn has_additional_ke(proposal: &str) -> bool {
    proposal.split('-').any(|word| word.strip_prefix("ke").is_some_and(|rest| rest.starts_with(|c| ('1'..='7').contains(&c))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additional_key_exchanges_are_seen_in_a_proposal() {
        assert!(has_additional_ke("aes128-sha256-x25519-ke1_mlkem768"));
        assert!(has_additional_ke("aes128gcm16-x25519-ke7_ecp256"));
        assert!(!has_additional_ke("aes128-sha256-mlkem768"));
    }
}
