//! HTTP/1.1, as little as the lab needs (RFC 9112): one request, one response with a length, close.

/// Longest header that is read.
pub const MAX_HEADER: usize = 8192;

/// Builds a GET request.
pub fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: faultlab\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Builds a response with `size` octets of body.
pub fn response(status: u16, size: usize) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    };
    let mut m = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {size}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
        .into_bytes();
    m.extend(std::iter::repeat_n(b'.', size));
    m
}

/// Is a request's header complete?
pub fn request_complete(m: &[u8]) -> bool {
    m.windows(4).any(|w| w == b"\r\n\r\n")
}

/// What a response says, once its header is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Status line.
    pub line: String,
    /// Octets of header.
    pub header: usize,
    /// Octets of body, when stated.
    pub body: Option<usize>,
}

/// Reads a response's head. `Ok(None)`: more is needed. `Err`: not HTTP.
pub fn read_head(m: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = m.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if m.len() > MAX_HEADER { Err("header too long".to_owned()) } else { Ok(None) };
    };
    let text = String::from_utf8_lossy(&m[..end]);
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|r| r.split(' ').nth(1))
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| format!("not an HTTP status line: {line}"))?;
    let body = lines
        .filter_map(|l| l.split_once(':'))
        .find(|(k, _)| k.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, v)| v.trim().parse().ok());
    Ok(Some(Head { status, line, header: end + 4, body }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_response_is_read_as_it_was_built() {
        let m = response(403, 10);
        let head = read_head(&m).unwrap().unwrap();
        assert_eq!((head.status, head.body, head.line.as_str()), (403, Some(10), "HTTP/1.1 403 Forbidden"));
        assert_eq!(m.len(), head.header + 10);
        assert_eq!(read_head(&m[..20]), Ok(None));
        assert!(read_head(b"220 ftp ready\r\n\r\n").is_err());
        assert!(request_complete(&get("bob", "/")));
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_head(&octets);
        }
    }
}
