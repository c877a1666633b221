//! The shape of JSON and of parameters: one declaration that is both written into the OpenAPI document and enforced.

use openmesh_message::limits::JSON_NUMBER_MAX;
use serde_json::{Map, Value, json};

/// The largest integer of JSON that every reader takes for itself (RFC 7493).
pub(crate) const NUMBER_MAX: i64 = JSON_NUMBER_MAX.cast_signed();
/// Up to here the pattern of a form bounds its length, too.
const BOUNDED_BY_PATTERN_MAX: usize = 128;

/// What a value must be.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A string of this many characters, of one form.
    Text(Text),
    /// An integer of this range.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// A list of at most this many items of one shape.
    List(Box<Shape>, usize),
    /// An object of these members and no others.
    Object(Vec<Member>),
    /// An object whose members are named freely: those listed, and others of the shape.
    Open(Vec<Member>, Box<Shape>),
    /// One of several shapes.
    Any(Vec<Shape>),
    /// Null.
    Null,
    /// Any JSON.
    Json,
    /// A shape of the document's components, which is only ever answered, never read.
    Named(&'static str),
}

/// A string.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    min: usize,
    max: usize,
    form: Option<Form>,
    words: &'static [&'static str],
}

/// A form that a text must have: its pattern for the document, and the check that holds it to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// ECMA-262, anchored.
    pub(crate) pattern: &'static str,
    /// OpenAPI's `format`, if one says more.
    pub(crate) format: Option<&'static str>,
    pub(crate) fits: fn(&str) -> bool,
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    name: &'static str,
    shape: Shape,
    is_required: bool,
    about: &'static str,
}

/// Where a value is not what it must be, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// A JSON pointer.
    pub(crate) pointer: String,
    pub(crate) why: String,
}

/// A string of one to `max` characters.
pub(crate) const fn text(max: usize) -> Shape {
    Shape::Text(Text { min: 1, max, form: None, words: &[] })
}

/// A string that may be empty.
pub(crate) const fn any_text(max: usize) -> Shape {
    Shape::Text(Text { min: 0, max, form: None, words: &[] })
}

/// A string of one form.
pub(crate) const fn formed(max: usize, form: Form) -> Shape {
    Shape::Text(Text { min: 1, max, form: Some(form), words: &[] })
}

/// A string of one form that takes in the empty string.
pub(crate) const fn formed_or_empty(max: usize, form: Form) -> Shape {
    Shape::Text(Text { min: 0, max, form: Some(form), words: &[] })
}

/// One of these words.
pub(crate) const fn word(words: &'static [&'static str]) -> Shape {
    Shape::Text(Text { min: 1, max: 64, form: None, words })
}

/// A member that must be there.
pub(crate) const fn required(name: &'static str, shape: Shape, about: &'static str) -> Member {
    Member { name, shape, is_required: true, about }
}

/// A member that may be there.
pub(crate) const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Member {
    Member { name, shape, is_required: false, about }
}

impl Shape {
    /// The shape as JSON Schema 2020-12.
    pub(crate) fn to_schema(&self) -> Value {
        match self {
            Self::Text(text) => text.to_schema(),
            Self::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::List(item, max) => json!({"type": "array", "items": item.to_schema(), "maxItems": max}),
            Self::Object(members) => object_schema(members, json!(false)),
            Self::Open(members, others) => object_schema(members, others.to_schema()),
            Self::Any(shapes) => json!({"anyOf": shapes.iter().map(Self::to_schema).collect::<Vec<_>>()}),
            Self::Null => json!({"type": "null"}),
            Self::Json => json!({}),
            Self::Named(name) => json!({"$ref": format!("#/components/schemas/{name}")}),
        }
    }

    /// Checks a value, and says where it does not fit first.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Misfit> {
        self.check_at(value, String::new())
    }

    fn check_at(&self, value: &Value, pointer: String) -> Result<(), Misfit> {
        let refuse = |why: String| Err(Misfit { pointer: pointer.clone(), why });
        match (self, value) {
            (Self::Text(text), Value::String(value)) => match text.refusal(value) {
                Some(why) => refuse(why),
                None => Ok(()),
            },
            (Self::Integer(min, max), Value::Number(number)) => match number.as_i64() {
                Some(number) if (*min..=*max).contains(&number) => Ok(()),
                _ => refuse(format!("is not an integer from {min} to {max}")),
            },
            (Self::List(_, max), Value::Array(items)) if items.len() > *max => {
                refuse(format!("has more than {max} items"))
            }
            (Self::List(shape, _), Value::Array(items)) => {
                let mut items = items.iter().enumerate();
                items.try_for_each(|(index, item)| shape.check_at(item, format!("{pointer}/{index}")))
            }
            (Self::Object(members), Value::Object(values)) => check_members(members, None, values, &pointer),
            (Self::Open(members, others), Value::Object(values)) => {
                check_members(members, Some(others), values, &pointer)
            }
            (Self::Any(shapes), _) if shapes.iter().any(|shape| shape.check(value).is_ok()) => Ok(()),
            (Self::Boolean, Value::Bool(_))
            | (Self::Null, Value::Null)
            | (Self::Json | Self::Named(_), _) => Ok(()),
            _ => refuse(format!("is not {}", self.described())),
        }
    }

    /// Reads a parameter's text as a value of this shape, without checking its bounds.
    pub(crate) fn read(&self, text: &str) -> Value {
        let as_text = || Value::String(text.to_owned());
        match self {
            Self::Integer(..) => {
                let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
                number.map_or_else(as_text, Value::from)
            }
            Self::Boolean => text.parse().map_or_else(|_| as_text(), Value::Bool),
            _ => as_text(),
        }
    }

    const fn described(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(..) => "an integer",
            Self::Boolean => "true or false",
            Self::List(..) => "a list",
            Self::Object(_) | Self::Open(..) => "an object",
            Self::Any(_) => "any of the shapes allowed here",
            Self::Null => "null",
            Self::Json | Self::Named(_) => "JSON",
        }
    }
}

impl Text {
    fn to_schema(&self) -> Value {
        if !self.words.is_empty() {
            return json!({"type": "string", "enum": self.words});
        }
        let mut schema = json!({"type": "string", "minLength": self.min, "maxLength": self.max});
        if self.form.is_some() && self.max <= BOUNDED_BY_PATTERN_MAX {
            schema = json!({"type": "string"});
        }
        if let (Some(form), Some(schema)) = (self.form, schema.as_object_mut()) {
            schema.insert("pattern".to_owned(), json!(form.pattern));
            if let Some(format) = form.format {
                schema.insert("format".to_owned(), json!(format));
            }
        }
        schema
    }

    fn refusal(&self, value: &str) -> Option<String> {
        if !self.words.is_empty() {
            let known = self.words.contains(&value);
            return (!known).then(|| format!("is none of {}", self.words.join(", ")));
        }
        let chars = value.chars().count();
        if chars < self.min || chars > self.max {
            return Some(format!("has {chars} characters, not {} to {}", self.min, self.max));
        }
        let form = self.form.filter(|form| chars > 0 && !(form.fits)(value));
        form.map(|form| format!("is not of the form {}", form.pattern))
    }
}

fn object_schema(members: &[Member], others: Value) -> Value {
    let property = |member: &Member| {
        let mut schema = member.shape.to_schema();
        if let Some(schema) = schema.as_object_mut()
            && !member.about.is_empty()
        {
            schema.insert("description".to_owned(), json!(member.about));
        }
        (member.name.to_owned(), schema)
    };
    let properties: Map<_, _> = members.iter().map(property).collect();
    let required: Vec<_> =
        members.iter().filter(|member| member.is_required).map(|member| member.name).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": others});
    if let Some(schema) = schema.as_object_mut()
        && !required.is_empty()
    {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn check_members(
    members: &[Member],
    others: Option<&Shape>,
    values: &Map<String, Value>,
    pointer: &str,
) -> Result<(), Misfit> {
    let missing = members.iter().find(|member| member.is_required && !values.contains_key(member.name));
    if let Some(member) = missing {
        let why = format!("needs the member `{}`", member.name);
        return Err(Misfit { pointer: pointer.to_owned(), why });
    }
    for (name, value) in values {
        let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (members.iter().find(|member| member.name == name), others) {
            (Some(member), _) => member.shape.check_at(value, at)?,
            (None, Some(others)) => others.check_at(value, at)?,
            (None, None) => {
                return Err(Misfit { pointer: at, why: "is no member of this object".to_owned() });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Form, Shape, formed, optional, required, text, word};
    use serde_json::json;

    fn shape() -> Shape {
        let digits =
            Form { pattern: "^[0-9]+$", format: None, fits: |text| text.bytes().all(|b| b.is_ascii_digit()) };
        Shape::Object(vec![
            required("name", text(3), ""),
            optional("kind", word(&["a", "b"]), ""),
            optional("numbers", Shape::List(Box::new(Shape::Integer(1, 9)), 2), ""),
            optional("code", formed(4, digits), ""),
        ])
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_pointer() {
        assert_eq!(shape().check(&json!({"name": "abc", "numbers": [1, 9], "code": "12"})), Ok(()));
        for (value, pointer) in [
            (json!({}), ""),
            (json!([]), ""),
            (json!({"name": ""}), "/name"),
            (json!({"name": "abcd"}), "/name"),
            (json!({"name": 1}), "/name"),
            (json!({"name": "a", "kind": "c"}), "/kind"),
            (json!({"name": "a", "numbers": [1, 2, 3]}), "/numbers"),
            (json!({"name": "a", "numbers": [1, 10]}), "/numbers/1"),
            (json!({"name": "a", "numbers": [1.5]}), "/numbers/0"),
            (json!({"name": "a", "code": "x"}), "/code"),
            (json!({"name": "a", "x/y": 1}), "/x~1y"),
        ] {
            assert_eq!(shape().check(&value).unwrap_err().pointer, pointer, "{value}");
        }
    }

    #[test]
    fn a_parameter_that_is_no_number_stays_text_and_is_refused() {
        let number = Shape::Integer(0, 10);
        assert_eq!(number.check(&number.read("7")), Ok(()));
        for bad in ["", "07", "+7", "7.0", "11", "x"] {
            assert!(number.check(&number.read(bad)).is_err(), "{bad}");
        }
    }
}
