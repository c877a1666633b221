//! Who is subscribed to patterns with wildcards: a tree of levels, walked along a topic.
//!
//! A topic has at most 16 levels and a pattern at most three wildcards: however many patterns there are, a walk sees few nodes.

use super::SubscriptionKey;
use super::few::Few;
use super::shards::{Keyed, Shards};
use crate::planted::{self, Planted};
use openmesh_message::{TopicPath, TopicPattern};

/// Where every pattern begins; below no node.
const ROOT: u32 = 0;

/// Patterns with wildcards, by their levels.
#[derive(Debug)]
pub(super) struct Wild {
    keyed: Keyed,
    /// By number; those of `free` stand for nothing.
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// The ways down by a level's name: one table for all nodes, as most have one way or none.
    named: Shards<Way>,
}

/// What is below some levels.
#[derive(Debug, Default)]
struct Node {
    /// The node below `*`; the root where there is none.
    star: u32,
    /// How many ways down by name there are.
    named: u32,
    /// Patterns that end here.
    here: Few<SubscriptionKey>,
    /// Patterns that end with `**` below.
    rest: Few<SubscriptionKey>,
}

#[derive(Debug)]
struct Way {
    from: u32,
    level: Box<str>,
    to: u32,
}

impl Node {
    const fn is_bare(&self) -> bool {
        self.star == ROOT && self.named == 0 && self.here.is_empty() && self.rest.is_empty()
    }
}

impl Wild {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self { keyed, nodes: vec![Node::default()], free: Vec::new(), named: Shards::default() }
    }

    pub(super) fn insert(&mut self, pattern: &TopicPattern, key: SubscriptionKey) {
        let mut at = ROOT;
        for level in pattern.levels() {
            if level == "**" {
                return self.change(at, |node| node.rest.insert(key));
            }
            at = self.below(at, level).unwrap_or_else(|| self.grow(at, level));
        }
        self.change(at, |node| node.here.insert(key));
    }

    /// Removes a subscription, and every node that was there for it alone.
    pub(super) fn remove(&mut self, pattern: &TopicPattern, key: SubscriptionKey) {
        let (mut at, mut way, mut goes_on) = (ROOT, Vec::new(), false);
        for level in pattern.levels() {
            if level == "**" {
                goes_on = true;
                break;
            }
            let Some(below) = self.below(at, level) else { return };
            way.push((at, level));
            at = below;
        }
        self.change(at, |node| if goes_on { node.rest.remove(&key) } else { node.here.remove(&key) });
        while let Some((from, level)) = way.pop() {
            let is_bare = self.nodes.get(at as usize).is_some_and(Node::is_bare);
            if !is_bare && !planted::has(Planted::CutBranch) {
                return;
            }
            self.prune(from, level, at);
            at = from;
        }
    }

    /// Tells whoever listens to a topic, in the order of their patterns' texts and then of their keys.
    pub(super) fn find(&self, topic: &TopicPath, found: &mut impl FnMut(SubscriptionKey)) {
        let (first, below) = split(topic.as_str());
        if !topic.is_system() {
            self.walk(ROOT, topic.as_str(), found);
        } else if let (Some(below), Some(node)) = (below, self.named(ROOT, first)) {
            self.walk(node, below, found);
        }
    }

    fn walk(&self, at: u32, topic: &str, found: &mut impl FnMut(SubscriptionKey)) {
        let Some(node) = self.nodes.get(at as usize) else { return };
        let (level, below) = split(topic);
        let named = if node.named == 0 { None } else { self.named(at, level) };
        let star = (node.star != ROOT).then_some(node.star);
        match below {
            // In the order of texts, which is `*`, `**`, `*/…`, names.
            None => {
                self.end(star, found);
                node.rest.iter().for_each(&mut *found);
                self.end(named, found);
            }
            Some(below) => {
                node.rest.iter().for_each(&mut *found);
                for next in star.into_iter().chain(named) {
                    self.walk(next, below, found);
                }
            }
        }
    }

    fn end(&self, at: Option<u32>, found: &mut impl FnMut(SubscriptionKey)) {
        if let Some(node) = at.and_then(|at| self.nodes.get(at as usize)) {
            node.here.iter().for_each(found);
        }
    }

    fn below(&self, at: u32, level: &str) -> Option<u32> {
        if level == "*" {
            return self.nodes.get(at as usize).map(|node| node.star).filter(|star| *star != ROOT);
        }
        self.named(at, level)
    }

    fn named(&self, from: u32, level: &str) -> Option<u32> {
        let hash = self.keyed.hash(from, level);
        self.named.find(hash, |way| way.from == from && *way.level == *level).map(|way| way.to)
    }

    fn grow(&mut self, from: u32, level: &str) -> u32 {
        let to = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len() as u32 - 1
        });
        if level == "*" {
            self.change(from, |node| node.star = to);
        } else {
            self.change(from, |node| node.named += 1);
            self.named.insert(self.keyed.hash(from, level), Way { from, level: level.into(), to });
        }
        to
    }

    fn prune(&mut self, from: u32, level: &str, to: u32) {
        if level == "*" {
            self.change(from, |node| node.star = ROOT);
        } else {
            self.change(from, |node| node.named -= 1);
            self.named.remove(self.keyed.hash(from, level), |way| way.to == to);
        }
        self.free.push(to);
    }

    fn change(&mut self, at: u32, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(at as usize) {
            change(node);
        }
    }

    /// How many nodes stand for something.
    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}

/// The first level, and what is below it.
fn split(topic: &str) -> (&str, Option<&str>) {
    let end = topic.bytes().position(|byte| byte == b'/');
    match end.and_then(|end| topic.split_at_checked(end)) {
        Some((first, below)) => (first, below.get(1..)),
        None => (topic, None),
    }
}
