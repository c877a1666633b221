//! The files of a node's folder that a backup can hold, each by a number. Names never come from a backup.

use openmesh_store::backup::BackupFile;
use std::path::{Path, PathBuf};

/// A file beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeptFile {
    /// The domain's word for the node's key.
    Certificate,
    /// The rules.
    Policy,
    /// Lends the standing of an administrator.
    AdminToken,
    /// Who the node is.
    NodeKey,
    /// Makes the keys that the node keeps for agents.
    CustodianKey,
    /// Who the domain is.
    RootKey,
    /// Who it will be after a rotation.
    NextRootKey,
}

impl KeptFile {
    /// Every one.
    pub(crate) const ALL: [Self; 7] = [
        Self::Certificate,
        Self::Policy,
        Self::AdminToken,
        Self::NodeKey,
        Self::CustodianKey,
        Self::RootKey,
        Self::NextRootKey,
    ];

    /// Its number in a backup, its name in the folder, and whether it is secret.
    const fn about(self) -> (u32, &'static str, bool) {
        match self {
            Self::Certificate => (1, "node.certificate", false),
            Self::Policy => (2, "policy.toml", false),
            Self::AdminToken => (3, "admin.token", true),
            Self::NodeKey => (4, "node.key", true),
            Self::CustodianKey => (5, "custodian.key", true),
            Self::RootKey => (6, "domain-root.key", true),
            Self::NextRootKey => (7, "domain-next-root.key", true),
        }
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        self.about().1
    }

    /// Whether whoever has it can pass for the node, the domain or an agent.
    pub(crate) const fn is_secret(self) -> bool {
        self.about().2
    }

    /// Where it is in a node's folder.
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }

    /// Which one a backup's file is; none for one of a later version.
    pub(crate) fn of(file: &BackupFile) -> Option<Self> {
        Self::ALL.into_iter().find(|kept| kept.about().0 == file.code)
    }

    /// The file for a backup, if it is in the folder.
    pub(crate) fn read(self, folder: &Path) -> std::io::Result<Option<BackupFile>> {
        match std::fs::read(self.path(folder)) {
            Ok(content) => Ok(Some(BackupFile { code: self.about().0, content })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
