//! Definitions: schemas and protocols. What both need: files, a catalog to check against, listings.

pub(crate) mod protocol;
pub(crate) mod schema;

use super::context::Context;
use super::failure::Failure;
use super::output::{say, text};
use anyhow::{Context as _, Result};
use openmesh_message::{Authority, VersionedName};
use openmesh_schema::{Catalog, DefinitionError};
use openmesh_sdk::Mesh;
use serde_json::{Value, json};
use std::path::Path;

fn read_file(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What a file holds is no definition.
fn refused(file: &Path, error: &DefinitionError) -> anyhow::Error {
    let at = if error.path.is_empty() { String::new() } else { format!(" at {}", error.path) };
    let what = format!("{}: {}{at}: {}", file.display(), error.kind.as_str(), error.message);
    Failure::usage(what).next("change the file; nothing was published").into()
}

/// The built-in catalog and schemas out of files, each `NAME=FILE`.
fn catalog(schemas: &[String], home: Authority) -> Result<Catalog> {
    let mut catalog = Catalog::builtin();
    for argument in schemas {
        let (name, file) = argument
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--schema {argument}: write NAME@vVERSION=FILE")))?;
        let name = VersionedName::parse(name, home)?;
        let file = Path::new(file);
        let schema = catalog.check_schema(&name, read_file(file)?.as_bytes());
        let schema = schema.map_err(|error| refused(file, &error))?;
        catalog = catalog.with_schema(schema)?;
    }
    Ok(catalog)
}

/// Lists the definitions of one kind; names of the mesh's own and of this domain are shown as people write them.
async fn list(mesh: &Mesh, kind: &str, context: &Context) -> Result<()> {
    let rows = mesh.definitions().await?;
    let rows: Vec<Value> = rows.into_iter().filter(|row| text(row, "/kind") == kind).collect();
    let own = format!("{}/", mesh.domain());
    context.format().listing(&["name", "from", "digest"], &rows, |row| {
        let name = text(row, "/name");
        let (from, name) = match (name.strip_prefix("openmesh/"), name.strip_prefix(&own)) {
            (Some(short), _) => ("built in", short),
            (None, Some(short)) => ("this domain", short),
            (None, None) => ("another domain", name.as_str()),
        };
        vec![name.to_owned(), from.to_owned(), format!("sha256-{}", text(row, "/digest"))]
    })
}

/// Prints a definition's stored form.
fn print(definition: &openmesh_sdk::Definition, context: &Context) -> Result<()> {
    if context.format().is_table() {
        let value: Value = serde_json::from_str(&definition.stored)?;
        return say(&serde_json::to_string_pretty(&value)?);
    }
    let stored: Value = serde_json::from_str(&definition.stored)?;
    context.format().outcome("", &json!({"name": definition.name.to_string(), "definition": stored}))
}
