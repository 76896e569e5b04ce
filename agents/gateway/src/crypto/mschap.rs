//! MSCHAPv2: RFC 2759, RFC 3079. Not there yet: every login fails.

/// NtChallengeResponse.
pub fn nt_response(_authenticator: &[u8; 16], _peer: &[u8; 16], _user: &str, _password: &str) -> [u8; 24] {
    [0; 24]
}

/// AuthenticatorResponse, `S=…`.
pub fn authenticator_response(_password: &str, _response: &[u8; 24], _peer: &[u8; 16], _authenticator: &[u8; 16], _user: &str) -> String {
    String::new()
}

/// The key that EAP yields.
pub fn msk(_password: &str, _response: &[u8; 24]) -> [u8; 64] {
    [0; 64]
}
