//! The attributes that steer a message. An input is lines of `name=value`, in any order.

use crate::cast::{NOW, agent, authority, home, schema, topic};
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::{Attributes, ControlAttributes, ControlError, PinnedName};
use std::fmt::Write;

/// Lines of `name=value`; what is no attribute is left out.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    let mut attributes = Attributes::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if let Err(error) = attributes.set(name, value) {
            assert_brief(&error);
        }
    }
    match ControlAttributes::parse(&attributes) {
        Ok(control) => {
            assert_eq!(ControlAttributes::parse(&attributes), Ok(control.clone()));
            check(&attributes, &control);
            Met::Taken
        }
        Err(error) => {
            assert_brief(&error);
            if let ControlError::Missing(name) = error {
                assert_eq!(attributes.get(name), None);
            }
            Met::Refused
        }
    }
}

/// What has one text is written as it was read.
fn check(attributes: &Attributes, control: &ControlAttributes) {
    let said = |name: &str| attributes.get(name).map(str::to_owned);
    let listed = |items: Vec<String>| (!items.is_empty()).then(|| items.join(","));
    assert_eq!(said("id").as_deref(), Some(&*control.id));
    assert_eq!(said("source"), Some(control.source.to_string()));
    assert_eq!(said("to"), Some(control.to.to_string()));
    assert_eq!(said("performative"), Some(control.performative.to_string()));
    assert_eq!(said("conversationid"), control.conversation.map(|id| id.to_string()));
    assert_eq!(said("replyto"), control.reply_to.as_ref().map(ToString::to_string));
    assert_eq!(said("dataschema"), control.schema.as_ref().map(PinnedName::to_schema_uri));
    assert_eq!(said("protocol"), control.protocol.as_ref().map(PinnedName::to_protocol_uri));
    assert_eq!(said("parents"), listed(control.parents.iter().map(ToString::to_string).collect()));
    let invites = control.invites.iter().map(|(role, agent)| format!("{role}={agent}"));
    assert_eq!(said("invite"), listed(invites.collect()));
    assert_eq!(control.is_act(), control.conversation.is_some());
    assert_eq!(control.time.to_string().parse(), Ok(control.time));
}

/// A plain message, an act, and one with all that steers.
pub fn seeds() -> Vec<Seed> {
    let plain = format!(
        "specversion=1.0\nid=m-1\nsource={}\ntype=note\ntime={NOW}\nto={}\nperformative=inform\n",
        agent(0),
        topic("market/news")
    );
    let rfp = schema("market/rfp@^1");
    let mut act = plain.replace("type=note", "type=market/rfp.v1").replace("inform", "cfp");
    let _ = write!(
        act,
        "dataschema={}\nprotocol={}\nconversationid=0190c9a0-0000-7000-8000-000000000001\ninvite=seller={},auditor={}\n",
        rfp.to_schema_uri(),
        rfp.to_protocol_uri(),
        agent(1),
        agent(2)
    );
    let mut all = act.clone();
    let _ = write!(
        all,
        "inreplyto=m-0\nreplyto=mesh://{}/inbox/buyer\nreplyby={NOW}\nexpirytime={NOW}\nparents={digest},{}\n\
         acklevel=durable\npriority=urgent\nmore=true\ncritical=to,time,parents\ndatacontenttype=application/json\n",
        home(),
        openmesh_message::Digest::ZERO,
        digest = rfp.digest,
    );
    let own =
        format!("{plain}dataschema=mesh-schema:{}/acme/bid@v1.0.0?sha256={}\n", authority(), rfp.digest);
    vec![Seed::new("plain", plain), Seed::new("act", act), Seed::new("all", all), Seed::new("disagrees", own)]
}
