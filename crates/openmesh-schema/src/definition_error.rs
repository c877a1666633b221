//! Why a schema or a protocol was refused when published: where, which kind, and what would be right.

use std::fmt;

/// Longest path that an error shows.
const PATH_BYTES_MAX: usize = 256;
/// Longest message of an error.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Why a definition cannot be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionError {
    /// Where: `machines.bid.states.offered.moves[1].guard`, or a JSON pointer into a schema.
    pub path: String,
    /// Which check refused it.
    pub kind: DefinitionErrorKind,
    /// What is wrong and what would be right.
    pub message: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $code:literal,)*) => {
        /// Which check refused a definition.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum DefinitionErrorKind {
            $($(#[$doc])* $kind,)*
        }

        impl DefinitionErrorKind {
            /// Every kind, in order.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// More bytes than the limit.
    TooLarge => "too_large",
    /// No YAML or JSON, or an alias, or a duplicate key.
    Malformed => "malformed",
    /// A key that nothing reads.
    UnknownKey => "unknown_key",
    /// A key that must be there.
    MissingKey => "missing_key",
    /// A value of the wrong type.
    WrongType => "wrong_type",
    /// A name that is no name.
    BadName => "bad_name",
    /// A `$ref` that leaves the document.
    UnknownReference => "unknown_reference",
    /// A limit of the structural budget.
    Budget => "budget",
    /// Something this program does not offer.
    Unsupported => "unsupported",
    /// A state that nothing leads to.
    Unreachable => "unreachable",
    /// A state from which no final state can be reached.
    DeadEnd => "dead_end",
    /// A choice that a role which acts next cannot observe.
    Unobservable => "unobservable",
    /// Two moves that one act would fit.
    Ambiguous => "ambiguous",
    /// An expression that does not parse, or uses more than is allowed.
    BadExpression => "bad_expression",
    /// A payload path that the schema does not declare.
    UnknownPath => "unknown_path",
    /// `when` rules that could run for ever.
    Cycle => "cycle",
    /// A state that does not exist.
    UnknownState => "unknown_state",
    /// A role that does not exist.
    UnknownRole => "unknown_role",
    /// A schema that is not published, or not used.
    UnknownSchema => "unknown_schema",
    /// A timer that cannot be computed.
    BadTimer => "bad_timer",
    /// Parts that contradict each other.
    Inconsistent => "inconsistent",
}

impl DefinitionError {
    pub(crate) fn new(
        path: impl Into<String>,
        kind: DefinitionErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: shortened(path.into(), PATH_BYTES_MAX),
            kind,
            message: shortened(message.into(), MESSAGE_BYTES_MAX),
        }
    }
}

/// A text with the definition's own words in it may be as long as the definition: its beginning says enough.
fn shortened(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    format!("{}…", text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default())
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for DefinitionError {}
