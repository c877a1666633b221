//! Serde and CBOR forms for types whose one true form is their text, and the order of those that are bytes.

use std::cmp::Ordering;

/// Implements serde and minicbor for a type through its `Display` and `FromStr`; CBOR through what gives its text cheaper,
/// where there is such.
macro_rules! as_text {
    ($type:ty) => {
        $crate::text_form::as_text!($type, ToString::to_string);
    };
    ($type:ty, $text:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> minicbor::Encode<C> for $type {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(AsRef::<str>::as_ref(&$text(self)))?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $type {
            fn decode(
                decoder: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let at = decoder.position();
                decoder
                    .str()?
                    .parse()
                    .map_err(|error| minicbor::decode::Error::message(format!("{error}")).at(at))
            }
        }
    };
}

/// The order of keys and digests: that of their bytes, taken as numbers, which are compared without a call.
#[inline]
pub(crate) fn order_of_bytes32(one: &[u8; 32], other: &[u8; 32]) -> Ordering {
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let mut pairs = ones.iter().zip(others);
    let differing = pairs.find(|(one, other)| one != other);
    differing
        .map_or(Ordering::Equal, |(one, other)| u64::from_be_bytes(*one).cmp(&u64::from_be_bytes(*other)))
}

/// Implements serde (text), minicbor (byte string) and an order for a newtype over `[u8; 32]`.
macro_rules! as_bytes32 {
    ($type:ty, $from:expr) => {
        impl Ord for $type {
            #[inline]
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                $crate::text_form::order_of_bytes32(&self.0, &other.0)
            }
        }

        impl PartialOrd for $type {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> minicbor::Encode<C> for $type {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $type {
            fn decode(
                decoder: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let at = decoder.position();
                let bytes: [u8; 32] = decoder
                    .bytes()?
                    .try_into()
                    .map_err(|_| minicbor::decode::Error::message("not 32 bytes").at(at))?;
                $from(bytes).map_err(|error| minicbor::decode::Error::message(format!("{error}")).at(at))
            }
        }
    };
}

pub(crate) use as_bytes32;
pub(crate) use as_text;
