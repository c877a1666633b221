//! Writes the seeds of the named targets, or of all, into `fuzz/seeds/`.
#![expect(clippy::print_stdout, reason = "a command line tool speaks on its standard output")]

use openmesh_fuzz::TARGETS;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for target in
        TARGETS.iter().filter(|target| names.is_empty() || names.iter().any(|name| name == target.name))
    {
        let folder = folder.join(target.name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let seeds = (target.seeds)();
        for seed in &seeds {
            std::fs::write(folder.join(&seed.name), &seed.bytes)?;
        }
        println!("{:<20} {} seeds", target.name, seeds.len());
    }
    Ok(())
}
