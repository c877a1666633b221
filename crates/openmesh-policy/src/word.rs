//! Closed sets of words: enums whose text form is fixed in `spec/policy.md`.

/// Why a text is none of the words it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAWord {
    pub(crate) text: String,
    pub(crate) words: &'static [&'static str],
}

/// Declares an enum whose variants have one text form each, for display, parsing and serde.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every word, in order.
            pub const WORDS: &[&str] = &[$($word,)+];

            /// The text form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            pub(crate) fn from_word(text: &str) -> Result<Self, $crate::word::NotAWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::word::NotAWord { text: text.to_owned(), words: Self::WORDS }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::PolicyError;

            fn from_str(text: &str) -> Result<Self, $crate::PolicyError> {
                Self::from_word(text).map_err(|refused| $crate::error::Refused::from(refused).into())
            }
        }
    };
}

pub(crate) use words;
