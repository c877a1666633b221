//! Names of schemas and protocols: `[authority/]namespace/name@v<semver>`, ranges and pins. One parser for all forms.

use crate::text_form::as_text;
use crate::{Digest, DomainId};
use semver::{Version, VersionReq};
use std::fmt;
use std::str::FromStr;

const RESERVED_AUTHORITY: &str = "openmesh";
const RESERVED_NAMESPACES: [&str; 3] = ["mesh", "fipa", "market"];
const SCHEMA_SCHEME: &str = "mesh-schema:";
const PROTOCOL_SCHEME: &str = "mesh-protocol:";
const PIN: &str = "#sha256-";
const URI_PIN: &str = "?sha256=";

/// Who publishes under a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authority {
    /// The reserved authority `openmesh`, whose definitions ship with the program.
    OpenMesh,
    /// A domain.
    Domain(DomainId),
}

/// A definition's name without its version: `openmesh/market/rfp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionName {
    /// Who publishes it.
    pub authority: Authority,
    /// The namespace, such as `market`.
    pub namespace: String,
    /// The name within it, such as `rfp`.
    pub name: String,
}

/// A definition's name and version: `openmesh/market/rfp@v1.0.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionedName {
    /// The name.
    pub name: DefinitionName,
    /// The semantic version.
    pub version: Version,
}

/// A definition's name and the versions that fit: `market/rfp@^1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameRange {
    /// The name.
    pub name: DefinitionName,
    /// The versions that fit.
    pub range: VersionReq,
}

/// A definition's name, version and digest: `openmesh/market/rfp@v1.0.0#sha256-…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinnedName {
    /// The name and version.
    pub versioned: VersionedName,
    /// SHA-256 of the definition's stored form.
    pub digest: Digest,
}

/// Why a text is no name of a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A part is missing, empty, too long or has other characters than `a-z 0-9 -`.
    #[error("`{0}` is not of the form [authority/]namespace/name (a-z, 0-9 and - in each part)")]
    Malformed(String),
    /// The authority is neither `openmesh` nor a domain id.
    #[error("`{0}` names an authority that is neither `openmesh` nor a domain id")]
    Authority(String),
    /// The version or range is no semantic version.
    #[error("`{0}` has no version of the form @v1.2.3, or range such as @^1")]
    Version(String),
    /// The digest is missing or malformed.
    #[error("`{0}` is not pinned to a digest")]
    Pin(String),
}

impl DefinitionName {
    /// Parses `authority/namespace/name`, or `namespace/name` under the reserved namespaces or else under `home`.
    pub fn parse(text: &str, home: Authority) -> Result<Self, NameError> {
        let malformed = || NameError::Malformed(crate::limits::excerpt(text));
        let mut parts = text.split('/');
        let (first, second, third) = (parts.next(), parts.next(), parts.next());
        let (authority, namespace, name) = match (first, second, third, parts.next()) {
            (Some(namespace), Some(name), None, None) => (None, namespace, name),
            (Some(authority), Some(namespace), Some(name), None) => {
                (Some(authority.parse()?), namespace, name)
            }
            _ => return Err(malformed()),
        };
        if !is_label(namespace) || !is_label(name) {
            return Err(malformed());
        }
        let reserved = RESERVED_NAMESPACES.contains(&namespace);
        let unqualified = if reserved { Authority::OpenMesh } else { home };
        Ok(Self {
            authority: authority.unwrap_or(unqualified),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// `namespace/name`, for people.
    pub fn short(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= crate::limits::NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl VersionedName {
    /// Parses `[authority/]namespace/name@v1.2.3`.
    pub fn parse(text: &str, home: Authority) -> Result<Self, NameError> {
        let refused = || NameError::Version(crate::limits::excerpt(text));
        let (name, version) = text.split_once('@').ok_or_else(refused)?;
        let version = version.strip_prefix('v').ok_or_else(refused)?;
        Ok(Self {
            name: DefinitionName::parse(name, home)?,
            version: Version::parse(version).map_err(|_| refused())?,
        })
    }

    /// `namespace/name@v1.2.3`, for people.
    pub fn short(&self) -> String {
        format!("{}@v{}", self.name.short(), self.version)
    }

    /// The CloudEvents `type` that goes with this schema: `market/rfp.v1`.
    pub fn type_name(&self) -> String {
        format!("{}.v{}", self.name.short(), self.version.major)
    }
}

impl NameRange {
    /// Parses `[authority/]namespace/name@<range>`; `@v1.2.3` is that version alone.
    pub fn parse(text: &str, home: Authority) -> Result<Self, NameError> {
        let refused = || NameError::Version(crate::limits::excerpt(text));
        let (name, range) = text.split_once('@').ok_or_else(refused)?;
        let range = match range.strip_prefix('v') {
            Some(exact) => VersionReq::parse(&format!("={exact}")),
            None => VersionReq::parse(range),
        };
        Ok(Self { name: DefinitionName::parse(name, home)?, range: range.map_err(|_| refused())? })
    }

    /// Whether the range takes in this name and version.
    pub fn contains(&self, versioned: &VersionedName) -> bool {
        self.name == versioned.name && self.range.matches(&versioned.version)
    }
}

impl PinnedName {
    /// The `dataschema` attribute: `mesh-schema:openmesh/market/rfp@v1.0.0?sha256=…`.
    pub fn to_schema_uri(&self) -> String {
        format!("{SCHEMA_SCHEME}{}{URI_PIN}{}", self.versioned, self.digest)
    }

    /// The `protocol` attribute: `mesh-protocol:openmesh/market/negotiation@v1.0.0?sha256=…`.
    pub fn to_protocol_uri(&self) -> String {
        format!("{PROTOCOL_SCHEME}{}{URI_PIN}{}", self.versioned, self.digest)
    }

    /// Parses a `dataschema` attribute.
    pub fn parse_schema_uri(text: &str) -> Result<Self, NameError> {
        parse_uri(text, SCHEMA_SCHEME)
    }

    /// Parses a `protocol` attribute.
    pub fn parse_protocol_uri(text: &str) -> Result<Self, NameError> {
        parse_uri(text, PROTOCOL_SCHEME)
    }
}

fn parse_uri(text: &str, scheme: &str) -> Result<PinnedName, NameError> {
    let malformed = || NameError::Malformed(crate::limits::excerpt(text));
    let rest = text.strip_prefix(scheme).ok_or_else(malformed)?;
    parse_pinned(rest, URI_PIN)
}

fn parse_pinned(text: &str, separator: &str) -> Result<PinnedName, NameError> {
    let unpinned = || NameError::Pin(crate::limits::excerpt(text));
    let (versioned, digest) = text.split_once(separator).ok_or_else(unpinned)?;
    Ok(PinnedName { versioned: versioned.parse()?, digest: digest.parse().map_err(|_| unpinned())? })
}

impl FromStr for Authority {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == RESERVED_AUTHORITY {
            return Ok(Self::OpenMesh);
        }
        text.parse().map(Self::Domain).map_err(|_| NameError::Authority(crate::limits::excerpt(text)))
    }
}

impl FromStr for DefinitionName {
    type Err = NameError;

    /// Takes only the qualified form.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.split('/').count() != 3 {
            return Err(NameError::Malformed(crate::limits::excerpt(text)));
        }
        Self::parse(text, Authority::OpenMesh)
    }
}

impl FromStr for VersionedName {
    type Err = NameError;

    /// Takes only the qualified form.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.split('/').count() != 3 {
            return Err(NameError::Malformed(crate::limits::excerpt(text)));
        }
        Self::parse(text, Authority::OpenMesh)
    }
}

impl FromStr for NameRange {
    type Err = NameError;

    /// Takes only the qualified form.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.split('/').count() != 3 {
            return Err(NameError::Malformed(crate::limits::excerpt(text)));
        }
        Self::parse(text, Authority::OpenMesh)
    }
}

impl FromStr for PinnedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_pinned(text, PIN)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenMesh => f.write_str(RESERVED_AUTHORITY),
            Self::Domain(id) => write!(f, "{id}"),
        }
    }
}

impl fmt::Display for DefinitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.authority, self.namespace, self.name)
    }
}

impl fmt::Display for VersionedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@v{}", self.name, self.version)
    }
}

impl fmt::Display for NameRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.range)
    }
}

impl fmt::Display for PinnedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PIN}{}", self.versioned, self.digest)
    }
}

as_text!(DefinitionName);
as_text!(VersionedName);
as_text!(NameRange);
as_text!(PinnedName);

#[cfg(test)]
mod tests {
    use super::{Authority, NameRange, PinnedName, VersionedName};
    use crate::{Digest, DomainId};

    const HOME: Authority = Authority::Domain(DomainId::from_bytes([1; 32]));

    #[test]
    fn reserved_namespaces_belong_to_openmesh_and_others_to_the_home_domain() {
        let rfp = VersionedName::parse("market/rfp@v1.0.0", HOME).unwrap();
        assert_eq!(rfp.to_string(), "openmesh/market/rfp@v1.0.0");
        assert_eq!(rfp.type_name(), "market/rfp.v1");
        let own = VersionedName::parse("acme/bid@v2.1.0", HOME).unwrap();
        assert_eq!(own.name.authority, HOME);
        assert_eq!(own.to_string().parse(), Ok(own));
    }

    #[test]
    fn pins_round_trip_in_both_forms() {
        let pinned = PinnedName {
            versioned: VersionedName::parse("market/rfp@v1.0.0", HOME).unwrap(),
            digest: Digest::of(b"rfp"),
        };
        assert_eq!(pinned.to_string().parse().as_ref(), Ok(&pinned));
        assert_eq!(PinnedName::parse_schema_uri(&pinned.to_schema_uri()), Ok(pinned.clone()));
        assert!(PinnedName::parse_protocol_uri(&pinned.to_schema_uri()).is_err());
    }

    #[test]
    fn ranges_contain() {
        let rfp = |text| VersionedName::parse(text, HOME).unwrap();
        let range = NameRange::parse("market/rfp@^1", HOME).unwrap();
        assert!(range.contains(&rfp("market/rfp@v1.9.0")));
        assert!(!range.contains(&rfp("market/rfp@v2.0.0")));
        assert!(!range.contains(&rfp("market/bid@v1.0.0")));
        let exact = NameRange::parse("market/rfp@v1.0.0", HOME).unwrap();
        assert!(!exact.contains(&rfp("market/rfp@v1.0.1")));
        assert_eq!(range.to_string().parse(), Ok(range));
    }

    #[test]
    fn malformed_and_confusable_names_are_refused() {
        for text in [
            "rfp@v1.0.0",
            "market/rfp",
            "market/rfp@1.0.0",
            "Market/rfp@v1.0.0",
            "märket/rfp@v1.0.0",
            "a/b/c/d@v1.0.0",
            "example.org/market/rfp@v1.0.0",
            "market/-rfp@v1.0.0",
            "market//rfp@v1.0.0",
        ] {
            assert!(VersionedName::parse(text, HOME).is_err(), "{text}");
        }
    }
}
