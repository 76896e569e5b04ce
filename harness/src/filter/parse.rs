//! Tokens to a checked program: recursive descent, `not` binding tighter than `and`, `and` tighter than `or`.

use std::ops::Range;

use regex::bytes::RegexBuilder;

use super::FilterError;
use super::fields::{FIELDS, Field, FieldInfo, Kind};
use super::lex::{self, Kind as T, Token};
use super::literal::{self, Const, Names};
use super::operand;
use super::program::{Node, Operand, Relation, Right, Test};
use super::versions;

/// Nesting beyond this is refused: it would only serve to exhaust the stack.
const MAX_DEPTH: usize = 100;

pub(super) fn parse(text: &str) -> Result<Node, FilterError> {
    let tokens = lex::tokens(text)?;
    if tokens.is_empty() {
        return Ok(Node::All);
    }
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len(), depth: 0 };
    let node = parser.or()?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => Err(parser.unexpected(token)),
    }
}

pub(super) struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    end: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn or(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.and()?];
        while self.take_sign("||") || self.take_word("or") {
            nodes.push(self.and()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Or(nodes.into()) })
    }

    fn and(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.not()?];
        while self.take_sign("&&") || self.take_word("and") {
            nodes.push(self.not()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::And(nodes.into()) })
    }

    fn not(&mut self) -> Result<Node, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::new(self.here(), "this filter is nested too deeply"));
        }
        let node = if self.take_sign("!") || self.take_word("not") {
            Node::Not(Box::new(self.not()?))
        } else if self.take_sign("(") {
            let node = self.or()?;
            self.expect_sign(")")?;
            node
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Node, FilterError> {
        let quantifier = match self.peek_word() {
            Some("any") => Some(false),
            Some("all") => Some(true),
            _ => None,
        };
        if quantifier.is_some() {
            self.at += 1;
        }
        let (left, span) = operand::parse(self)?;
        let from = self.here();
        let Some((relation, all)) = self.relation(left.field.info())? else {
            if quantifier.is_some() {
                return Err(FilterError::new(from, "a comparison is expected after any or all"));
            }
            return match left.mask {
                Some(_) => Ok(Node::Test(Box::new(Test { left, relation: Relation::NonZero, all: false, right: Right::Nothing }))),
                None if left.function.is_some() => Err(FilterError::new(span, "a comparison is expected after this function")
                    .help(format!("write {}, which asks whether it is there, or compare", left.field.info().name))),
                None => Ok(Node::Present(left)),
            };
        };
        let all = quantifier.unwrap_or(all);
        let (kind, info) = (left.kind(), left.field.info());
        let from = self.here();
        let right = match relation {
            Relation::In => Right::Set(self.set(&left)?),
            Relation::Matches => {
                text_like(kind, info, &span, "matches")?;
                Right::Regex(self.regex()?)
            }
            Relation::Contains => {
                text_like(kind, info, &span, "contains")?;
                self.right(&left, relation)?
            }
            _ => {
                if matches!(kind, Kind::None | Kind::OpaqueProtocol) {
                    return Err(FilterError::new(span, format!("{} can only be tested for presence", info.name)));
                }
                self.right(&left, relation)?
            }
        };
        let test = Test { left, relation, all, right };
        versions::check(&test, &span, &(from.start..self.behind()))?;
        Ok(Node::Test(Box::new(test)))
    }

    /// The operator that comes now, and whether it asks for all values.
    fn relation(&mut self, left: &FieldInfo) -> Result<Option<(Relation, bool)>, FilterError> {
        use Relation as R;
        let Some(token) = self.peek() else { return Ok(None) };
        let negation = token.kind == T::Sign("!") || token.kind == T::Word("not".into());
        if let Some(next) = self.tokens.get(self.at + 1).filter(|next| negation && next.kind == T::Word("in".into())) {
            let message = "from Wireshark 4.4 on, `not in` selects only frames that have the field; in 4.0, others as well";
            return Err(FilterError::new(token.span.start..next.span.end, message).help(format!("write !({} in {{…}})", left.name)));
        }
        let found = match &token.kind {
            T::Sign("==") => (R::Eq, false),
            T::Sign("!=") => (R::Ne, true),
            T::Sign("===") => (R::Eq, true),
            T::Sign("!==") => (R::Ne, false),
            T::Sign("~=") => {
                return Err(FilterError::new(token.span.clone(), "Wireshark has no ~= from 4.4 on").help("write !== or any_ne"));
            }
            T::Sign(">") => (R::Gt, false),
            T::Sign("<") => (R::Lt, false),
            T::Sign(">=") => (R::Ge, false),
            T::Sign("<=") => (R::Le, false),
            T::Sign("~") => (R::Matches, false),
            T::Word(w) => match w.as_str() {
                "eq" | "any_eq" => (R::Eq, false),
                "ne" | "all_ne" => (R::Ne, true),
                "all_eq" => (R::Eq, true),
                "any_ne" => (R::Ne, false),
                "gt" => (R::Gt, false),
                "lt" => (R::Lt, false),
                "ge" => (R::Ge, false),
                "le" => (R::Le, false),
                "contains" => (R::Contains, false),
                "matches" => (R::Matches, false),
                "in" => (R::In, false),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(found))
    }

    /// A field or a literal on the right side.
    fn right(&mut self, left: &Operand, relation: Relation) -> Result<Right, FilterError> {
        let (kind, info) = (left.kind(), left.field.info());
        let Some(token) = self.peek() else { return Err(self.ended()) };
        let field = match &token.kind {
            T::Word(w) => Field::by_name(w).is_some() || self.calls_function(),
            _ => false,
        };
        if !field {
            return Ok(Right::Const(self.literal(left, relation.orders())?));
        }
        let (right, span) = operand::parse(self)?;
        if !comparable(kind, right.kind()) {
            let [left, other] =
                [(info, kind), (right.field.info(), right.kind())].map(|(i, k)| format!("{} is of type {}", i.name, k.describe()));
            let error = FilterError::new(span, format!("{left}, {other}: they cannot be compared"));
            return Err(match (kind, right.kind()) {
                (Kind::Protocol, Kind::Bytes | Kind::Ether) | (Kind::Bytes | Kind::Ether, Kind::Protocol) => {
                    error.help("write a field of octets in place of the protocol, such as udp.payload")
                }
                _ => error,
            });
        }
        Ok(Right::Field(right))
    }

    fn literal(&mut self, left: &Operand, ordered: bool) -> Result<Const, FilterError> {
        let Some(token) = self.next() else { return Err(self.ended()) };
        if let T::Sign(_) | T::Slice(_) = token.kind {
            return Err(self.unexpected(token));
        }
        let names = match ordered {
            _ if !left.is_field() => Names::None,
            true => Names::Ordered,
            false => Names::All,
        };
        literal::parse(left.kind(), left.field.info(), token, names)
    }

    fn set(&mut self, left: &Operand) -> Result<Box<[(Const, Const)]>, FilterError> {
        self.expect_sign("{")?;
        let mut set = Vec::new();
        loop {
            let range = self.tokens.get(self.at + 1).is_some_and(|t| t.kind == T::Sign(".."));
            let from = self.literal(left, range)?;
            let to = if self.take_sign("..") { self.literal(left, range)? } else { from.clone() };
            set.push((from, to));
            if self.take_sign("}") {
                return Ok(set.into());
            }
            if !self.take_sign(",") {
                return Err(FilterError::new(self.here(), "a comma or } is expected here")
                    .help("elements of a set are separated by commas: {500, 4500, 1024..2047}"));
            }
        }
    }

    fn regex(&mut self) -> Result<regex::bytes::Regex, FilterError> {
        let Some(token) = self.next() else { return Err(self.ended()) };
        let T::Text(pattern) = &token.kind else {
            return Err(FilterError::new(token.span.clone(), "a regular expression in double quotes is expected here"));
        };
        // Escapes are decoded by now; octets that are no text go into the pattern as escapes of their own.
        let mut source = String::new();
        for chunk in pattern.utf8_chunks() {
            source.push_str(chunk.valid());
            for octet in chunk.invalid() {
                source.push_str(&format!("\\x{octet:02x}"));
            }
        }
        // Octets, as in Wireshark: no classes of characters beyond ASCII.
        RegexBuilder::new(&source).case_insensitive(true).unicode(false).size_limit(1 << 20).build().map_err(|e| {
            let last = e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            FilterError::new(token.span.clone(), format!("this is not a regular expression: {last}"))
        })
    }

    // ---- tokens ----

    pub(super) fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<&'t Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn peek_word(&self) -> Option<&'t str> {
        match &self.peek()?.kind {
            T::Word(w) => Some(w),
            _ => None,
        }
    }

    pub(super) fn calls_function(&self) -> bool {
        self.tokens.get(self.at + 1).is_some_and(|t| t.kind == T::Sign("("))
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.peek().is_some_and(|t| matches!(t.kind, T::Sign(s) if s == sign));
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word() == Some(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Result<(), FilterError> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(token) => FilterError::new(token.span.clone(), format!("{sign} is expected here")),
            None => FilterError::new(self.here(), format!("the filter ends where {sign} is expected")),
        })
    }

    pub(super) fn here(&self) -> Range<usize> {
        self.peek().map_or(self.end..self.end, |t| t.span.clone())
    }

    /// End of the last token.
    fn behind(&self) -> usize {
        self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(self.end, |t| t.span.end)
    }

    pub(super) fn ended(&self) -> FilterError {
        FilterError::new(self.end..self.end, "the filter ends too early")
    }

    pub(super) fn unexpected(&self, token: &Token) -> FilterError {
        let error = FilterError::new(token.span.clone(), "this is not expected here");
        match &token.kind {
            T::Word(w) if matches!(w.to_ascii_lowercase().as_str(), "and" | "or" | "not" | "eq" | "ne") => {
                error.help(format!("operators are written in lower case: {}", w.to_ascii_lowercase()))
            }
            T::Word(_) => error.help("join two tests with && or ||"),
            _ => error,
        }
    }
}

fn text_like(kind: Kind, info: &FieldInfo, span: &Range<usize>, word: &str) -> Result<(), FilterError> {
    match kind {
        Kind::Bytes | Kind::Text | Kind::Protocol | Kind::Ether => Ok(()),
        _ => {
            Err(FilterError::new(span.clone(), format!("{} is of type {}: {word} works on strings and octets", info.name, kind.describe())))
        }
    }
}

fn comparable(l: Kind, r: Kind) -> bool {
    let class = |k: Kind| match k {
        Kind::Uint(_) => 1,
        Kind::Bool => 2,
        Kind::Ipv4 => 3,
        Kind::Ipv6 => 4,
        Kind::Ether | Kind::Bytes => 5,
        Kind::Text => 6,
        Kind::Seconds => 7,
        Kind::None | Kind::OpaqueProtocol => 8,
        Kind::Protocol => 9,
    };
    class(l) == class(r) && class(l) != 8
}

/// The error for a word that is no field, with the nearest one that is.
pub(super) fn unknown(word: &str, span: Range<usize>) -> FilterError {
    let error = FilterError::new(span, format!("{word:?} is not a field that faultlab knows"));
    // Names that people write for Wireshark's, which are shorter.
    let meant = match word {
        "isakmp.flag_response" | "isakmp.flag_r_response" => Some("isakmp.flag_r"),
        "isakmp.flag_initiator" => Some("isakmp.flag_i"),
        "isakmp.flag_version" => Some("isakmp.flag_v"),
        "ike" | "ikev2" | "ikev1" => Some("isakmp"),
        "tcp.seq" => Some("tcp.seq_raw"),
        "tcp.ack" => Some("tcp.ack_raw"),
        _ => FIELDS
            .iter()
            .map(|f| (strsim::damerau_levenshtein(word, f.name), f.name))
            .min()
            .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
            .map(|(_, name)| name),
    };
    match meant {
        Some(name) => error.help(format!("did you mean {name}?")),
        None => error.help("the fields are listed in docs/filters.md"),
    }
}
