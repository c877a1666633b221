//! JSON as it was read: one text, and the places in it, in the order of the document.

use super::building::Builder;
use serde_json::{Map, Number, Value};

/// Members up to which an object is searched one by one; a larger one knows the order of its names.
pub(super) const FEW_MEMBERS: usize = 16;

/// A JSON document, read-only. Making it takes a few allocations, however much is in it.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// What was read, then the texts that are written with escapes.
    pub(super) text: String,
    pub(super) nodes: Vec<Node>,
    /// Of objects with more than [`FEW_MEMBERS`], where their names stand, sorted.
    pub(super) order: Vec<u32>,
}

/// What stands at one place. The parts of an array or object follow it; in an object each name comes before its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(Span),
    /// How many elements, and the place after the last.
    Array {
        count: u32,
        end: u32,
    },
    /// How many members, the place after the last, and where in `order` its names are.
    Object {
        count: u32,
        end: u32,
        order: u32,
    },
}

/// Bytes of the document's text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A value in a document.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    document: &'a Document,
    place: usize,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(&'a str),
    /// An array.
    Array(Elements<'a>),
    /// An object.
    Object(Object<'a>),
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    document: &'a Document,
    next: usize,
    left: usize,
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    document: &'a Document,
    place: usize,
    count: usize,
    order: usize,
}

/// The members of an object, in the order of the document.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    document: &'a Document,
    next: usize,
    left: usize,
}

impl Document {
    /// That of a value.
    pub fn of(value: &Value) -> Self {
        Builder::of(value).finish()
    }

    /// Makes it the document of one text, in the room it has.
    pub fn hold(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.nodes.clear();
        self.nodes.extend(u32::try_from(text.len()).map(|end| Node::Text(Span { start: 0, end })));
        self.order.clear();
    }

    /// All of it.
    #[inline]
    pub fn root(&self) -> Part<'_> {
        self.part(0)
    }

    /// What a JSON pointer (RFC 6901) leads to.
    pub fn pointer(&self, pointer: &str) -> Option<Part<'_>> {
        self.root().pointer(pointer)
    }

    /// It as a value.
    pub fn to_value(&self) -> Value {
        self.root().to_value()
    }

    #[inline]
    const fn part(&self, place: usize) -> Part<'_> {
        Part { document: self, place }
    }

    #[inline]
    pub(super) fn text(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The text at a place where one is known to be.
    #[inline]
    pub(super) fn text_at(&self, place: usize) -> &str {
        match self.nodes.get(place) {
            Some(Node::Text(span)) => self.text(*span),
            _ => "",
        }
    }

    /// The place after a value.
    #[inline]
    fn after(&self, place: usize) -> usize {
        match self.nodes.get(place) {
            Some(Node::Array { end, .. } | Node::Object { end, .. }) => *end as usize,
            _ => place + 1,
        }
    }

    /// The object at a place, of which so many members are known.
    #[inline]
    pub(super) const fn object(&self, place: usize, count: usize, order: usize) -> Object<'_> {
        Object { document: self, place, count, order }
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.to_value() == other.to_value()
    }
}

impl<'a> Part<'a> {
    /// What it is.
    #[inline]
    pub fn kind(self) -> Kind<'a> {
        let Self { document, place } = self;
        match document.nodes.get(place) {
            Some(Node::Bool(value)) => Kind::Bool(*value),
            Some(Node::Integer(value)) => Kind::Number(Number::from(*value)),
            Some(Node::Real(value)) => Number::from_f64(*value).map_or(Kind::Null, Kind::Number),
            Some(Node::Text(span)) => Kind::Text(document.text(*span)),
            Some(Node::Array { count, .. }) => {
                Kind::Array(Elements { document, next: place + 1, left: *count as usize })
            }
            Some(Node::Object { count, order, .. }) => {
                Kind::Object(document.object(place, *count as usize, *order as usize))
            }
            Some(Node::Null) | None => Kind::Null,
        }
    }

    /// The document it is in.
    #[inline]
    pub const fn document(self) -> &'a Document {
        self.document
    }

    /// Where it stands in the document: no two values stand at one place.
    #[inline]
    pub const fn place(self) -> usize {
        self.place
    }

    /// What a JSON pointer (RFC 6901) leads to from here.
    pub fn pointer(self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        let mut tokens = pointer.strip_prefix('/')?.split('/');
        tokens.try_fold(self, |part, token| match part.kind() {
            Kind::Object(object) if token.contains('~') => {
                object.get(&token.replace("~1", "/").replace("~0", "~"))
            }
            Kind::Object(object) => object.get(token),
            Kind::Array(mut elements) => elements.nth(index(token)?),
            _ => None,
        })
    }

    /// It as a value.
    pub fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::Number(number) => Value::Number(number),
            Kind::Text(text) => Value::String(text.to_owned()),
            Kind::Array(elements) => Value::Array(elements.map(Part::to_value).collect()),
            Kind::Object(object) => {
                let members = object.members().map(|(name, part)| (name.to_owned(), part.to_value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

impl PartialEq<Value> for Part<'_> {
    fn eq(&self, other: &Value) -> bool {
        match (self.kind(), other) {
            (Kind::Text(text), Value::String(other)) => text == other,
            _ => self.to_value() == *other,
        }
    }
}

/// An element's number, as pointers write it: without sign and without leading zeros.
fn index(token: &str) -> Option<usize> {
    let is_plain = !token.starts_with('+') && (!token.starts_with('0') || token == "0");
    token.parse().ok().filter(|_| is_plain)
}

impl<'a> Iterator for Elements<'a> {
    type Item = Part<'a>;

    #[inline]
    fn next(&mut self) -> Option<Part<'a>> {
        self.left = self.left.checked_sub(1)?;
        let part = self.document.part(self.next);
        self.next = self.document.after(self.next);
        Some(part)
    }
}

impl ExactSizeIterator for Elements<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.left
    }
}

impl<'a> Object<'a> {
    /// How many members it has.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    #[inline]
    pub const fn len(self) -> usize {
        self.count
    }

    /// Its members.
    #[inline]
    pub const fn members(self) -> Members<'a> {
        Members { document: self.document, next: self.place + 1, left: self.count }
    }

    /// The value that stands under a name.
    #[inline]
    pub fn get(self, name: &str) -> Option<Part<'a>> {
        let Self { document, count, order, .. } = self;
        if count <= FEW_MEMBERS {
            return self.members().find(|(found, _)| *found == name).map(|(_, value)| value);
        }
        let names = document.order.get(order..order + count)?;
        let found = names.binary_search_by(|place| document.text_at(*place as usize).cmp(name)).ok()?;
        names.get(found).map(|place| document.part(*place as usize + 1))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Part<'a>);

    #[inline]
    fn next(&mut self) -> Option<(&'a str, Part<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let (name, value) = (self.document.text_at(self.next), self.document.part(self.next + 1));
        self.next = self.document.after(value.place);
        Some((name, value))
    }
}
