//! Properties that many forms share: read, written and read again, a value is the same; one value has one text.

use minicbor::{Decode, Encode};
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// Longest text of an error: it quotes what it refuses, but never at length.
const ERROR_BYTES_MAX: usize = 2_048;

/// A value, if the bytes are one; it is the same when written and read again.
pub(crate) fn reads<T>(bytes: &[u8]) -> Option<T>
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug,
{
    let value: T = minicbor::decode(bytes).ok()?;
    assert_kept(&value);
    Some(value)
}

/// Written and read again, the value is the same, and so are its bytes.
pub(crate) fn assert_kept<T>(value: &T)
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug,
{
    let written = minicbor::to_vec(value).unwrap();
    let again: T = minicbor::decode(&written).unwrap();
    assert_eq!(again, *value);
    assert_eq!(minicbor::to_vec(&again).unwrap(), written);
}

/// A value, if the text is one; the text is then the only one of this value.
pub(crate) fn is_the_text_of<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string(), text);
            Some(value)
        }
        Err(error) => {
            assert_brief(&error);
            None
        }
    }
}

/// A value, if the text is one; its own text leads back to it.
pub(crate) fn is_a_text_of<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display + PartialEq + Debug,
{
    match text.parse::<T>() {
        Ok(value) => {
            assert_leads_back(&value);
            Some(value)
        }
        Err(error) => {
            assert_brief(&error);
            None
        }
    }
}

/// The value's own text leads back to it.
pub(crate) fn assert_leads_back<T>(value: &T)
where
    T: FromStr<Err: Display> + Display + PartialEq + Debug,
{
    match value.to_string().parse::<T>() {
        Ok(again) => assert_eq!(again, *value),
        Err(error) => panic!("`{value}` is written, and then refused: {error}"),
    }
}

/// An error says something, and not too much.
pub(crate) fn assert_brief(error: &impl Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() <= ERROR_BYTES_MAX, "an error of {} bytes", text.len());
}
