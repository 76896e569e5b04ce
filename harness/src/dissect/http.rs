//! HTTP/1 messages (RFC 9112) in the octets of one direction of a TCP connection.

use std::collections::VecDeque;

use super::Http;

/// Octets of a head that are read.
const MAX_HEAD: usize = 16 << 10;
/// Header fields that are read.
const MAX_FIELDS: usize = 128;
/// Octets of the line that gives a chunk's size, or of a trailer field.
const MAX_LINE: usize = 8192;
/// Requests without a response that are remembered.
const MAX_ASKED: usize = 64;
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// Reads the start line at the front of a TCP segment; `None` when there is none.
pub(super) fn parse(payload: &[u8]) -> Option<Http> {
    if !begins(payload) {
        return None;
    }
    let line = &payload[..payload.len().min(MAX_LINE)];
    let line = line.split(|octet| matches!(octet, b'\r' | b'\n')).next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (first, second) = (words.next()?, words.next()?);
    if first.starts_with("HTTP/1.") {
        return Some(Http { method: String::new(), uri: String::new(), status: Some(second.parse().ok()?) });
    }
    Some(Http { method: first.to_owned(), uri: second.to_owned(), status: None })
}

/// Does a message begin here, as far as these octets tell?
fn begins(octets: &[u8]) -> bool {
    let same = |word: &[u8]| octets.iter().zip(word).all(|(a, b)| a == b);
    !octets.is_empty() && (same(b"HTTP/1.") || METHODS.iter().any(|m| same(m.as_bytes()) && octets.get(m.len()).is_none_or(|o| *o == b' ')))
}

/// Methods of the requests of the other direction that have no response yet, in their order: what follows a response's head depends on
/// them (RFC 9112 §6.3).
#[derive(Debug, Default)]
pub(super) struct Asked(VecDeque<String>);

impl Asked {
    pub(super) fn add(&mut self, request: &Http) {
        // Nobody waits for so many: the responses were not captured.
        if self.0.len() == MAX_ASKED {
            self.0.clear();
        }
        self.0.push_back(request.method.clone());
    }

    /// Returns whether the final response with this status has no body whatever its fields say.
    fn without_body(&mut self, status: u16) -> bool {
        match self.0.pop_front().as_deref() {
            Some("HEAD") => true,
            Some("CONNECT") => matches!(status, 200..=299),
            _ => false,
        }
    }
}

/// How far one direction has been read.
#[derive(Debug, Default)]
pub(super) enum Reading {
    /// Between messages.
    #[default]
    Idle,
    /// Octets of a head that is not complete.
    Head(Vec<u8>),
    /// So many octets of a body are missing.
    Body(Http, u64),
    /// The body ends with the connection.
    UntilEnd(Http),
    /// The body comes in chunks.
    Chunks(Http, Chunk),
}

/// Where a body in chunks goes on (RFC 9112 §7.1).
#[derive(Debug)]
pub(super) enum Chunk {
    /// In the line with a chunk's size.
    Size(Vec<u8>),
    /// So many octets before the next such line.
    Data(u64),
    /// In a line of the trailer.
    Trailer(Vec<u8>),
}

impl Reading {
    /// Reads the octets that come next; adds the messages that are complete with them. False: some belong to no message.
    pub(super) fn read(&mut self, mut octets: &[u8], asked: &mut Asked, complete: &mut Vec<Http>) -> bool {
        while !octets.is_empty() {
            *self = match std::mem::take(self) {
                Reading::Idle if begins(octets) => Reading::Head(Vec::new()),
                Reading::Idle => return false,
                Reading::Head(mut head) => {
                    let before = head.len();
                    head.extend(&octets[..octets.len().min(MAX_HEAD - before)]);
                    match after_head(&head, asked) {
                        Head::Incomplete if head.len() < MAX_HEAD => {
                            *self = Reading::Head(head);
                            return true;
                        }
                        Head::Complete(len, next) => {
                            octets = &octets[len.saturating_sub(before).min(octets.len())..];
                            next
                        }
                        // A start line is enough for people.
                        _ => {
                            let start = parse(&head);
                            let found = start.is_some();
                            complete.extend(start);
                            return found;
                        }
                    }
                }
                Reading::Body(http, missing) => {
                    let n = octets.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
                    octets = &octets[n..];
                    Reading::Body(http, missing - n as u64)
                }
                Reading::UntilEnd(http) => {
                    *self = Reading::UntilEnd(http);
                    return true;
                }
                Reading::Chunks(http, chunk) => match chunk.read(&mut octets) {
                    Ok(Some(chunk)) => Reading::Chunks(http, chunk),
                    Ok(None) => Reading::Body(http, 0),
                    Err(()) => return false,
                },
            };
            self.finish(complete);
        }
        true
    }

    /// The connection ends.
    pub(super) fn end(&mut self, complete: &mut Vec<Http>) {
        if let Reading::UntilEnd(http) = std::mem::take(self) {
            complete.push(http);
        }
    }

    fn finish(&mut self, complete: &mut Vec<Http>) {
        if let Reading::Body(http, 0) = self {
            complete.push(http.clone());
            *self = Reading::Idle;
        }
    }
}

impl Chunk {
    /// Goes on; `None` when the last chunk has been read.
    fn read(self, octets: &mut &[u8]) -> Result<Option<Chunk>, ()> {
        let mut line = match self {
            Chunk::Data(missing) => {
                let n = octets.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
                *octets = &octets[n..];
                let missing = missing - n as u64;
                return Ok(Some(if missing == 0 { Chunk::Size(Vec::new()) } else { Chunk::Data(missing) }));
            }
            Chunk::Size(ref line) | Chunk::Trailer(ref line) => line.clone(),
        };
        let end = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1);
        line.extend(&octets[..end]);
        *octets = &octets[end..];
        if line.len() > MAX_LINE {
            return Err(());
        }
        let whole = line.last() == Some(&b'\n');
        match (self, whole) {
            (Chunk::Trailer(_), true) => Ok((line != b"\r\n").then(|| Chunk::Trailer(Vec::new()))),
            (Chunk::Trailer(_), false) => Ok(Some(Chunk::Trailer(line))),
            (_, false) => Ok(Some(Chunk::Size(line))),
            (_, true) => match httparse::parse_chunk_size(&line) {
                Ok(httparse::Status::Complete((_, 0))) => Ok(Some(Chunk::Trailer(Vec::new()))),
                // Behind the data there is one more end of line.
                Ok(httparse::Status::Complete((_, size))) => Ok(Some(Chunk::Data(size.saturating_add(2)))),
                _ => Err(()),
            },
        }
    }
}

enum Head {
    Incomplete,
    /// So many octets, and what follows.
    Complete(usize, Reading),
    Wrong,
}

/// What follows a head (RFC 9112 §6.3).
fn after_head(octets: &[u8], asked: &mut Asked) -> Head {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let (len, status) = if octets.starts_with(b"HTTP/") {
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(octets) {
            Ok(httparse::Status::Complete(len)) => (len, response.code),
            Ok(httparse::Status::Partial) => return Head::Incomplete,
            Err(_) => return Head::Wrong,
        }
    } else {
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(octets) {
            Ok(httparse::Status::Complete(len)) => (len, None),
            Ok(httparse::Status::Partial) => return Head::Incomplete,
            Err(_) => return Head::Wrong,
        }
    };
    let Some(http) = parse(octets) else { return Head::Wrong };
    let field = |name: &str| fields.iter().find(|f| f.name.eq_ignore_ascii_case(name)).and_then(|f| std::str::from_utf8(f.value).ok());
    let length = field("content-length").and_then(|text| text.trim().parse().ok());
    let chunked = field("transfer-encoding").is_some_and(|text| text.trim().to_ascii_lowercase().ends_with("chunked"));
    let next = match (status, length) {
        (Some(100..=199), _) => Reading::Body(http, 0),
        (Some(status), _) if asked.without_body(status) || matches!(status, 204 | 304) => Reading::Body(http, 0),
        _ if chunked => Reading::Chunks(http, Chunk::Size(Vec::new())),
        (_, Some(length)) => Reading::Body(http, length),
        (None, None) => Reading::Body(http, 0),
        (Some(_), None) => Reading::UntilEnd(http),
    };
    Head::Complete(len, next)
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

    /// Status codes of what is complete after each part.
    fn statuses(parts: &[&[u8]]) -> Vec<Vec<Option<u16>>> {
        let mut reading = Reading::default();
        let mut after = |part: &&[u8]| {
            let mut complete = Vec::new();
            reading.read(part, &mut Asked::default(), &mut complete);
            complete.iter().map(|http| http.status).collect()
        };
        parts.iter().map(&mut after).collect()
    }

    #[test]
    fn a_message_is_complete_with_the_last_octet_of_its_body() {
        let whole: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 1..whole.len() {
            assert_eq!(statuses(&[&whole[..cut], &whole[cut..]]), [vec![], vec![Some(200)]], "{cut}");
        }
        let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n";
        for cut in 1..chunked.len() {
            assert_eq!(statuses(&[&chunked[..cut], &chunked[cut..]]), [vec![], vec![Some(200)]], "{cut}");
        }
        let two = [b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", whole].concat();
        assert_eq!(statuses(&[&two]), [[Some(304), Some(200)]]);
        assert_eq!(statuses(&[b"GET / HTTP/1.1\r\n", b"\r\n"]), [vec![], vec![None]]);
        assert_eq!(statuses(&[b"neither", whole]), [vec![], vec![Some(200)]]);
    }

    #[test]
    fn what_was_asked_decides_whether_a_body_follows() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        let complete = |methods: &[&str]| {
            let (mut asked, mut complete) = (Asked::default(), Vec::new());
            methods.iter().for_each(|m| asked.add(&parse(format!("{m} / HTTP/1.1").as_bytes()).unwrap()));
            let mut reading = Reading::default();
            for _ in methods {
                reading.read(head, &mut asked, &mut complete);
            }
            complete.len()
        };
        assert_eq!([&["HEAD"][..], &["CONNECT"], &["GET"], &["HEAD", "HEAD"], &["HEAD", "GET"]].map(complete), [1, 1, 0, 2, 1]);
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_counts() {
        let (mut reading, mut complete) = (Reading::default(), Vec::new());
        assert!(reading.read(b"HTTP/1.0 200 OK\r\n\r\nabc", &mut Asked::default(), &mut complete) && complete.is_empty());
        reading.end(&mut complete);
        assert_eq!(complete.len(), 1);
    }
}
