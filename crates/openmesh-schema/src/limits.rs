//! Every limit of schemas, definitions and conversations, in one place, with its unit in its name.

/// Largest schema as published, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a schema.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// Object keys of a schema, all levels together.
pub const SCHEMA_KEYWORDS_MAX: usize = 2_000;
/// Longest regular expression of a schema.
pub const SCHEMA_PATTERN_BYTES_MAX: usize = 256;
/// Regular expressions of a schema.
pub const SCHEMA_PATTERNS_MAX: usize = 64;
/// Largest compiled form of one regular expression.
pub const SCHEMA_PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// References (`$ref`, `$dynamicRef`) of a schema.
pub const SCHEMA_REFS_MAX: usize = 128;
/// Subschemas one value is checked against once references are followed.
pub const SCHEMA_EXPANSION_MAX: u64 = 4_096;
/// Violations reported for one payload.
pub const VIOLATIONS_MAX: usize = 5;
/// Longest message of one violation.
pub const VIOLATION_CHARS_MAX: usize = 160;

/// Largest protocol definition as published, in bytes.
pub const PROTOCOL_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a protocol definition.
pub const PROTOCOL_DEPTH_MAX: usize = 16;
/// Roles of a protocol.
pub const ROLES_MAX: usize = 16;
/// Machines of a protocol.
pub const MACHINES_MAX: usize = 16;
/// States of one machine, finals included.
pub const STATES_MAX: usize = 64;
/// Moves of one state.
pub const MOVES_MAX: usize = 32;
/// `when` rules of one state.
pub const WHENS_MAX: usize = 16;
/// Obligation rules of a protocol.
pub const OBLIGATION_RULES_MAX: usize = 32;
/// Longest expression.
pub const EXPRESSION_BYTES_MAX: usize = 1_024;
/// Deepest nesting of an expression.
pub const EXPRESSION_DEPTH_MAX: u16 = 32;
/// Longest duration of a timer or an obligation: 366 days.
pub const DURATION_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1000;
/// Largest `max` of a move.
pub const MOVE_REPEATS_MAX: u64 = 1_000_000;
/// Longest name of a role, machine or state.
pub const LABEL_BYTES_MAX: usize = 64;

/// Agents bound in one conversation.
pub const AGENTS_MAX: usize = 1_024;
/// Duties open in one conversation.
pub const DUTIES_MAX: usize = 4_096;
