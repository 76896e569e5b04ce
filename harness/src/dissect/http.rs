//! The start line of an HTTP/1 message (RFC 9112 §2.1).

use super::Http;

/// Longest start line read.
const MAX_LINE: usize = 8192;

/// Reads the start line at the front of a TCP segment; `None` when there is none.
pub(super) fn parse(payload: &[u8]) -> Option<Http> {
    const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
    let begins = |word: &str| payload.starts_with(word.as_bytes()) && payload.get(word.len()) == Some(&b' ');
    let is_response = payload.starts_with(b"HTTP/1.");
    if !is_response && !METHODS.iter().any(|m| begins(m)) {
        return None;
    }
    let line = &payload[..payload.len().min(MAX_LINE)];
    let line = line.split(|octet| matches!(octet, b'\r' | b'\n')).next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (first, second) = (words.next()?, words.next()?);
    if is_response {
        return Some(Http { method: String::new(), uri: String::new(), status: Some(second.parse().ok()?) });
    }
    Some(Http { method: first.to_owned(), uri: second.to_owned(), status: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_status_lines_are_told_from_other_data() {
        let request = parse(b"GET /big?n=1 HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
        assert_eq!((request.method.as_str(), request.uri.as_str(), request.status), ("GET", "/big?n=1", None));
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().status, Some(204));
        assert_eq!(parse(b"GETTING nothing"), None);
        assert_eq!(parse(b"HTTP/1.1 abc\r\n"), None);
        assert_eq!(parse(b""), None);
    }
}
