//! DNS questions and answers, as little as the lab needs (RFC 1035 §4).

use std::net::IpAddr;

/// Response codes.
pub mod rcode {
    /// No error.
    pub const NO_ERROR: u8 = 0;
    /// No such name.
    pub const NXDOMAIN: u8 = 3;
}

/// A question, as a server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Transaction ID.
    pub id: u16,
    /// Name in lower case, without the final dot.
    pub name: String,
    /// Type: 1 A, 28 AAAA.
    pub kind: u16,
    /// The question section's octets, to be repeated in the answer.
    section: Vec<u8>,
}

/// An answer, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Transaction ID.
    pub id: u16,
    /// Response code.
    pub rcode: u8,
    /// Answer records.
    pub count: u16,
}

/// Builds a query; `None`: the name cannot be asked for (labels of 1 to 63 octets, 253 in all).
pub fn query(id: u16, name: &str, v6: bool) -> Option<Vec<u8>> {
    let mut m = Vec::with_capacity(32 + name.len());
    m.extend_from_slice(&id.to_be_bytes());
    m.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    if name.len() > 253 {
        return None;
    }
    for label in name.trim_end_matches('.').split('.') {
        let len = u8::try_from(label.len()).ok().filter(|n| (1..64).contains(n))?;
        m.push(len);
        m.extend_from_slice(label.as_bytes());
    }
    m.push(0);
    m.extend_from_slice(&(if v6 { 28u16 } else { 1 }).to_be_bytes());
    m.extend_from_slice(&1u16.to_be_bytes());
    Some(m)
}

/// Reads a query with one question.
pub fn read_query(m: &[u8]) -> Option<Question> {
    let word = |at: usize| Some(u16::from_be_bytes([*m.get(at)?, *m.get(at + 1)?]));
    if word(2)? & 0x8000 != 0 || word(4)? != 1 {
        return None;
    }
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let len = usize::from(*m.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        // A question has no compression, and a name at most 255 octets.
        if len > 63 || at > 300 {
            return None;
        }
        labels.push(String::from_utf8_lossy(m.get(at..at + len)?).to_ascii_lowercase());
        at += len;
    }
    let section = m.get(12..at + 4)?.to_vec();
    Some(Question { id: word(0)?, name: labels.join("."), kind: word(at)?, section })
}

impl Question {
    /// Answers with an address, or without one.
    pub fn answer(&self, rcode: u8, address: Option<IpAddr>) -> Vec<u8> {
        let data = match (address, self.kind) {
            (Some(IpAddr::V4(a)), 1) => a.octets().to_vec(),
            (Some(IpAddr::V6(a)), 28) => a.octets().to_vec(),
            _ => Vec::new(),
        };
        let count = u16::from(!data.is_empty());
        let mut m = self.id.to_be_bytes().to_vec();
        m.extend_from_slice(&[0x85, 0x80 | (rcode & 0x0f), 0, 1]);
        m.extend_from_slice(&count.to_be_bytes());
        m.extend_from_slice(&[0, 0, 0, 0]);
        m.extend_from_slice(&self.section);
        if count == 1 {
            m.extend_from_slice(&[0xc0, 12]);
            m.extend_from_slice(&self.kind.to_be_bytes());
            m.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            m.extend_from_slice(&data);
        }
        m
    }
}

/// Reads an answer's header.
pub fn read_answer(m: &[u8]) -> Option<Answer> {
    let word = |at: usize| Some(u16::from_be_bytes([*m.get(at)?, *m.get(at + 1)?]));
    let flags = word(2)?;
    (flags & 0x8000 != 0 && m.len() >= 12).then_some(Answer { id: word(0)?, rcode: (flags & 0x0f) as u8, count: word(6)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn question_and_answer_fit_together() {
        let q = query(77, "FileServer.corp.example", false).unwrap();
        let read = read_query(&q).unwrap();
        assert_eq!((read.id, read.name.as_str(), read.kind), (77, "fileserver.corp.example", 1));
        let a = read.answer(rcode::NO_ERROR, Some("10.2.0.10".parse().unwrap()));
        assert_eq!(read_answer(&a), Some(Answer { id: 77, rcode: 0, count: 1 }));
        assert_eq!(read_answer(&read.answer(rcode::NXDOMAIN, None)), Some(Answer { id: 77, rcode: 3, count: 0 }));
        assert!(query(1, "a..b", false).is_none());
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_query(&octets);
            let _ = read_answer(&octets);
        }
    }
}
