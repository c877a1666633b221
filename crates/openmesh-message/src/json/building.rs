//! A document in the making: places are added in their order, and what is an array or an object is closed at its end.

use super::document::{Document, FEW_MEMBERS, Node, Span};
use serde_json::Value;

/// A document in the making.
pub(super) struct Builder {
    document: Document,
}

/// Which names an object has so far: enough to see at once that most are not among them.
#[derive(Default)]
pub(super) struct Names {
    count: usize,
    kinds: u64,
}

impl Names {
    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }
}

impl Builder {
    /// One for places in a text.
    pub(super) fn over(text: &str, nodes: usize) -> Self {
        let document =
            Document { text: text.to_owned(), nodes: Vec::with_capacity(nodes), order: Vec::new() };
        Self { document }
    }

    /// That of a value, whose names are unlike.
    pub(super) fn of(value: &Value) -> Self {
        let mut builder = Self::over("", 1);
        builder.add_value(value);
        builder
    }

    pub(super) fn finish(self) -> Document {
        self.document
    }

    pub(super) fn push(&mut self, node: Node) {
        self.document.nodes.push(node);
    }

    /// Begins an array or an object, and says where it stands.
    pub(super) fn open(&mut self) -> usize {
        let place = self.document.nodes.len();
        self.document.nodes.push(Node::Null);
        place
    }

    pub(super) fn close_array(&mut self, place: usize, count: usize) {
        let node = Node::Array { count: number(count), end: number(self.document.nodes.len()) };
        self.set(place, node);
    }

    /// `None` if two members have one name.
    pub(super) fn close_object(&mut self, place: usize, count: usize) -> Option<()> {
        let Document { nodes, order, .. } = &self.document;
        let node =
            Node::Object { count: number(count), end: number(nodes.len()), order: number(order.len()) };
        self.set(place, node);
        if count <= FEW_MEMBERS { Some(()) } else { self.sort(place, count) }
    }

    /// Adds a name to the object at `place`; `None` if it is there.
    ///
    /// Of an object with many members the further ones are looked at when it is closed.
    pub(super) fn name(&mut self, place: usize, names: &mut Names, span: Span) -> Option<()> {
        let name = self.document.text(span);
        let kind = kind(name.as_bytes());
        if names.kinds & kind != 0 && names.count < FEW_MEMBERS {
            let known = self.document.object(place, names.count, 0);
            if known.get(name).is_some() {
                return None;
            }
        }
        names.kinds |= kind;
        names.count += 1;
        self.push(Node::Text(span));
        Some(())
    }

    /// Adds to the text.
    pub(super) fn write(&mut self, text: &str) {
        self.document.text.push_str(text);
    }

    /// Where the text ends.
    pub(super) fn end(&self) -> u32 {
        number(self.document.text.len())
    }

    /// What was written since `start`.
    pub(super) fn since(&self, start: u32) -> Span {
        Span { start, end: self.end() }
    }

    fn set(&mut self, place: usize, node: Node) {
        if let Some(held) = self.document.nodes.get_mut(place) {
            *held = node;
        }
    }

    fn sort(&mut self, place: usize, count: usize) -> Option<()> {
        let object = self.document.object(place, count, 0);
        let mut order: Vec<u32> = object.members().map(|(_, value)| number(value.place() - 1)).collect();
        let name = |place: &u32| self.document.text_at(*place as usize);
        order.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        let is_once = order.is_sorted_by(|one, other| name(one) < name(other));
        self.document.order.extend(order);
        is_once.then_some(())
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::Null => self.push(Node::Null),
            Value::Bool(value) => self.push(Node::Bool(*value)),
            Value::Number(number) => self.push(match number.as_i64() {
                Some(integer) => Node::Integer(integer),
                None => Node::Real(number.as_f64().unwrap_or_default()),
            }),
            Value::String(text) => self.add_text(text),
            Value::Array(items) => {
                let place = self.open();
                items.iter().for_each(|item| self.add_value(item));
                self.close_array(place, items.len());
            }
            Value::Object(members) => {
                let place = self.open();
                for (name, value) in members {
                    self.add_text(name);
                    self.add_value(value);
                }
                self.close_object(place, members.len());
            }
        }
    }

    fn add_text(&mut self, text: &str) {
        let start = self.end();
        self.write(text);
        self.push(Node::Text(self.since(start)));
    }
}

/// One of 64 bits for a name: of its length, its first and its last byte.
fn kind(name: &[u8]) -> u64 {
    let (first, last) = (name.first().copied().unwrap_or(0), name.last().copied().unwrap_or(0));
    let sum = usize::from(first) * 5 + usize::from(last) * 3 + name.len();
    1 << (sum & 63)
}

/// A place or a length: [`super::reader`] takes no text in which they would not fit.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
