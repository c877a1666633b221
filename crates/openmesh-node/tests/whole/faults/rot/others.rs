//! The other files of a node's folder: each that rots is refused with a clear word, or made anew, or says what else it
//! means; none is taken for what it was.

use crate::node::{Node, Way, refused_start};
use openmesh_sdk::LogFilter;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What becomes of a file that is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The node does not start, and says which file it is.
    Refused,
    /// The node starts, and the file is as it should be.
    Anew,
    /// Refused where it cannot be read; else it says something else, and that is what holds from then on.
    Read,
}

/// An index of so little is built in this time.
const INDEXED: Duration = Duration::from_secs(2);
/// Every file of the folder but the log.
const FILES: &[(&str, Fate)] = &[
    ("node.key", Fate::Refused),
    ("node.certificate", Fate::Refused),
    ("domain-root.key", Fate::Refused),
    ("domain-next-root.key", Fate::Refused),
    ("custodian.key", Fate::Read),
    ("admin.token", Fate::Read),
    ("policy.toml", Fate::Read),
    ("endpoint.json", Fate::Anew),
    ("projection/*.run", Fate::Anew),
    ("projection/topics", Fate::Anew),
];
/// Places of each file that a test run tries, and a campaign.
const PLACES: usize = 2;
const PLACES_ALL: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn every_other_file_that_rots_is_refused_by_name_or_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let mut node = Node::start_in(home.path(), Way::with(&["--pin", "market/**"]));
    let (key, mesh) = node.agent("ann").await;
    for _ in 0..20 {
        let draft = mesh.draft("topic:market/prices", &openmesh_sdk::Performative::Inform).unwrap();
        let envelope = mesh.sign(draft.json(b"{}".to_vec())).unwrap();
        assert!(mesh.send(envelope).await.unwrap().is_accepted());
    }
    let whole = questions(&mesh).await;
    assert!(whole.iter().all(|count| *count > 0), "{whole:?}");
    std::fs::copy(node.folder().join("endpoint.json"), home.path().join("endpoint.json")).unwrap();
    tokio::time::sleep(INDEXED).await;
    node.stop();
    let (kept_endpoint, endpoint) = (home.path().join("endpoint.json"), node.folder().join("endpoint.json"));
    let put_endpoint_back = || std::fs::copy(&kept_endpoint, &endpoint).unwrap();
    put_endpoint_back();
    known(&node.folder());
    let places = if super::one_of(PLACES) == 1 { PLACES_ALL } else { PLACES };
    let (mut trials, mut refused) = (0, 0);
    // As they were at the end: an index that is being made anew has none of its files for a while.
    let files = FILES.iter().map(|(name, fate)| {
        let path = found(&node.folder(), name);
        let bytes = std::fs::read(&path).unwrap();
        (name, fate, path, bytes)
    });
    for (name, fate, path, bytes) in files.collect::<Vec<_>>() {
        // A start that was refused has taken it away.
        put_endpoint_back();
        for place in 0..places {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut rotten = bytes.clone();
            let at = (bytes.len() - 1) * place / places;
            rotten[at] ^= 1 << (place % 7);
            std::fs::write(&path, &rotten).unwrap();
            trials += 1;
            let about = format!("{name}: bit at {at}");
            match refused_start(home.path(), &node.way) {
                Some(said) => {
                    refused += 1;
                    assert!(*fate != Fate::Anew, "{about}: {said}");
                    let named = name.rsplit('/').next().unwrap();
                    assert!(said.contains(named) || said.contains("certificate"), "{about}: {said}");
                }
                None => {
                    assert!(*fate != Fate::Refused, "{about}: the node takes it for good");
                    if *fate == Fate::Anew {
                        node.restart();
                        let mesh = node.connect(&key).await;
                        assert_eq!(questions(&mesh).await, whole, "{about}");
                        node.stop();
                    }
                }
            }
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
    }
    node.restart();
    println!("rot: other files: {trials} trials, {refused} refused by name, the others as documented");
}

/// The file of a name, or the first whose name ends so.
fn found(folder: &Path, name: &str) -> PathBuf {
    let Some((within, ending)) = name.split_once('*') else { return folder.join(name) };
    let mut entries = std::fs::read_dir(folder.join(within)).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.to_str().unwrap().ends_with(ending)).unwrap()
}

/// How many records some questions find; what each start writes is not among them.
async fn questions(mesh: &openmesh_sdk::Mesh) -> Vec<usize> {
    let by_topic = LogFilter { topic: Some("market/**".to_owned()), ..LogFilter::default() };
    let by_agent = LogFilter { agent: Some(mesh.id()), ..LogFilter::default() };
    let mut counts = Vec::new();
    for filter in [by_topic, by_agent] {
        counts.push(mesh.query_log(filter).collect(1_000).await.unwrap().len());
    }
    counts
}

/// A file that is in no table would be in no test.
fn known(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_str().unwrap().to_owned();
        let is_known = FILES.iter().any(|(known, _)| known.split('/').next() == Some(name.as_str()));
        assert!(is_known || name == "log", "{name} is in no table of what becomes of it");
    }
}

/// What is made of the log may be thrown away.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_index_and_snapshots_a_node_says_the_same() {
    let home = tempfile::tempdir().unwrap();
    let mut node = Node::start_in(home.path(), Way::with(&["--pin", "market/**"]));
    let (key, mesh) = node.agent("ann").await;
    for to in ["topic:market/prices", "inbox:ann"].into_iter().cycle().take(40) {
        let draft = mesh.draft(to, &openmesh_sdk::Performative::Inform).unwrap();
        let envelope = mesh.sign(draft.json(b"{}".to_vec())).unwrap();
        assert!(mesh.send(envelope).await.unwrap().is_accepted());
    }
    let leased = mesh.inbox().lease(5, Duration::from_secs(60), Duration::ZERO).await.unwrap();
    mesh.inbox().ack(leased[0].token, &[leased[0].number]).await.unwrap();
    let before = (questions(&mesh).await, mesh.inbox().counts().await.unwrap());
    node.stop();
    std::fs::remove_dir_all(node.folder().join("projection")).unwrap();
    for entry in std::fs::read_dir(node.log()).unwrap().flatten() {
        if entry.file_name().to_str().unwrap().starts_with("snapshot") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    node.restart();
    let mesh = node.connect(&key).await;
    for wait in [Duration::ZERO, INDEXED] {
        // At first the log answers, and then the index.
        tokio::time::sleep(wait).await;
        assert_eq!((questions(&mesh).await, mesh.inbox().counts().await.unwrap()), before);
    }
}
