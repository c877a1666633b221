//! Commands: registration, subscriptions, inbox verbs, publishing, questions. One method each.

mod browsing;
mod inbox_verbs;
mod publishing;
mod question;
mod tokens;
mod topics;

use crate::admit::destination;
use crate::dedup::{Lookup, short_id};
use crate::input::Ticket;
use crate::partition::{Partition, Waiting};
use crate::plan::{Begin, Effect, Plan, Question, Taken};
use crate::reading::{conversation_row, decided};
use crate::record::{Body, Outcome};
use crate::rejection::{Bound, Rejection};
use crate::state::Logical;
use inbox_verbs::Held;
use openmesh_message::frame::{Command, Reply, Start};
use openmesh_message::limits::TIME_AHEAD_MS_MAX;
use openmesh_message::{
    AgentId, AgentName, ConversationId, Digest, DomainId, Priority, Target, Timestamp, TopicPattern,
};
use openmesh_policy::{Action, Authenticity, Destination, Origin, Party, Standing, StaticContext};

/// Who gave a command, where its reply goes, and when.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) ticket: Ticket,
    pub(crate) agent: AgentId,
    pub(crate) now: Timestamp,
}

/// A command ends with a reply, or its effects answer later.
pub(crate) type Answer = Result<Option<Reply>, Rejection>;

impl Partition {
    /// Takes a command and plans its reply.
    pub(crate) fn take_command(&mut self, ticket: Ticket, command: Command, plan: &mut Plan) {
        let Some(agent) = self.routes.agent(ticket.connection) else {
            return;
        };
        let caller = Caller { ticket, agent, now: plan.at };
        match self.run(caller, command, plan) {
            Ok(None) => {}
            Ok(Some(reply)) => plan.effects.push(Effect::Reply(ticket, Ok(reply))),
            Err(rejection) => plan.effects.push(Effect::Reply(ticket, Err(rejection))),
        }
    }

    fn run(&mut self, caller: Caller, command: Command, plan: &mut Plan) -> Answer {
        match command {
            Command::Subscribe { subscription, pattern, start } => {
                let pattern = self.parse_pattern(&pattern)?;
                self.subscribe(caller, (subscription, start), pattern, plan)
            }
            Command::Unsubscribe { subscription } => self.unsubscribe(caller, subscription, plan),
            Command::Register { name, token } => self.register(caller, &name, token.as_deref(), plan),
            Command::ListAgents => self.list_agents(caller),
            Command::Lease { messages_max, visibility_ms, wait_ms, least } => {
                let asked = (messages_max, least.unwrap_or(Priority::Bulk));
                self.lease(caller, Waiting::asked(caller, asked, visibility_ms, wait_ms), plan)
            }
            Command::Extend { token, visibility_ms } => self.extend(caller, token, visibility_ms, plan),
            Command::Ack { token, numbers } => self.acknowledge(caller, Held::new(token, &numbers), plan),
            Command::Nack { token, numbers, delay_ms } => {
                self.give_back(caller, Held::new(token, &numbers), delay_ms, plan)
            }
            Command::CountInbox => self.count_inbox(caller),
            Command::PublishSchema { name, definition } => {
                self.publish_schema(caller, &name, &definition, plan)
            }
            Command::PublishProtocol { definition } => self.publish_protocol(caller, &definition, plan),
            Command::GetSchema { name } => self.get_schema(caller, &name),
            Command::GetProtocol { name } => self.get_protocol(caller, &name),
            Command::ListDefinitions => self.list_definitions(caller),
            Command::ConfigureTopic { topic, pinned, token } => {
                self.decide_plain(caller, Action::Administer, token.as_deref())?;
                self.pin_topics(caller, &topic, pinned, plan)
            }
            Command::ListConversations => self.list_conversations(caller),
            Command::ShowConversation { conversation } => self.show_conversation(caller, &conversation),
            Command::QueryLog { filter, after_seq, records_max, wait_ms, newest_first } => {
                let (agent, filter) = (caller.agent, *filter);
                let asked = Question { agent, filter, after_seq, records_max, wait_ms, newest_first };
                self.query_log(caller, asked, plan)
            }
            Command::GetReceipt { message, id } => self.get_receipt(caller, &message, &id, plan),
            Command::ReloadPolicy { token } => self.reload_policy(caller, &token, plan),
            Command::IssueToken { agent, grant, admin_token } => {
                self.issue_token(caller, (agent, grant), admin_token.as_deref(), plan)
            }
            Command::RegisterKeyless { name, grant, admin_token } => {
                self.register_keyless(caller, (&name, grant), admin_token.as_deref(), plan)
            }
            Command::RevokeToken { token, admin_token } => {
                self.revoke_token(caller, token, admin_token, plan)
            }
            Command::ListTokens { agent, admin_token } => self.list_tokens(caller, agent, admin_token),
            Command::GetAgent { agent } => self.get_agent(caller, &agent),
            Command::Peek { after_number: after, messages_max } => {
                self.peek(caller, after, messages_max, plan)
            }
            Command::Recall { recipient, number, message, id } => {
                self.recall(caller, (recipient, number), (&message, &id), plan)
            }
            Command::SetTopic { topic, pinned, retention, expected_version, token } => {
                self.decide_plain(caller, Action::Administer, token.as_deref())?;
                self.set_topics(caller, &topic, (pinned, retention, expected_version), plan)
            }
            Command::Erase { message, reason, token } => {
                self.decide_plain(caller, Action::Administer, token.as_deref())?;
                self.find_to_erase(caller, message, reason, plan)
            }
            Command::ListTopics => self.list_topics(caller),
            Command::GetTopic { topic, after, topics_max } => {
                self.get_topics(caller, &topic, (after.as_deref(), topics_max))
            }
        }
    }

    fn reload_policy(&self, caller: Caller, token: &str, plan: &mut Plan) -> Answer {
        self.decide_plain(caller, Action::Administer, Some(token))?;
        plan.effects.push(Effect::ReloadPolicy(caller.ticket));
        Ok(None)
    }

    fn subscribe(
        &mut self,
        caller: Caller,
        (subscription, start): (u64, Start),
        pattern: TopicPattern,
        plan: &mut Plan,
    ) -> Answer {
        let connection = caller.ticket.connection;
        self.has_room_to_subscribe(caller)?;
        self.decide_pattern(caller, &pattern)?;
        if matches!(start, Start::Since(time) if time > caller.now.plus_ms(TIME_AHEAD_MS_MAX)) {
            return Err(Rejection::BadArgument("start", "a time to come".to_owned()));
        }
        if !self.routes.subscribe((connection, subscription), pattern.clone()) {
            return Err(Rejection::BadArgument("subscription", "the number is in use".to_owned()));
        }
        self.census.enter(caller.agent);
        plan.effects.push(Effect::EndShortcuts(pattern.clone()));
        plan.effects.push(Effect::Reply(caller.ticket, Ok(Reply::Done)));
        let begin = match start {
            Start::Next => return Ok(None),
            Start::At(seq) => Begin::After(seq.saturating_sub(1)),
            Start::Since(time) => Begin::Since(time),
        };
        let agent = caller.agent;
        plan.effects.push(Effect::CatchUp { connection, subscription, agent, pattern, begin });
        Ok(None)
    }

    fn has_room_to_subscribe(&self, caller: Caller) -> Result<(), Rejection> {
        let config = &self.config;
        let bound = if self.routes.count(caller.ticket.connection) >= config.subscriptions_max {
            Bound::Connection(config.subscriptions_max)
        } else if self.census.of(&caller.agent) >= config.agent_subscriptions_max {
            Bound::Agent(config.agent_subscriptions_max)
        } else if self.census.all() >= config.node_subscriptions_max {
            Bound::Node(config.node_subscriptions_max)
        } else {
            return Ok(());
        };
        Err(Rejection::TooManySubscriptions(bound))
    }

    /// A pattern without wildcards is decided as the topic it is; others record by record as they match.
    fn decide_pattern(&self, caller: Caller, pattern: &TopicPattern) -> Result<(), Rejection> {
        let Some(topic) = pattern.as_path() else {
            return self.decide_plain(caller, Action::Read, None);
        };
        let target = Target::Topic(topic);
        let mut context = self.context(caller, Action::Read, None);
        context.destination = Some(destination(&target, &self.view));
        self.decide_context(&context)
    }

    fn unsubscribe(&mut self, caller: Caller, subscription: u64, plan: &mut Plan) -> Answer {
        let connection = caller.ticket.connection;
        let ended = self.routes.unsubscribe((connection, subscription)).ok_or(Rejection::NotFound)?;
        self.census.leave(&caller.agent, 1);
        plan.effects.push(Effect::EndShortcuts(ended));
        plan.effects.push(Effect::Unsubscribe(connection, subscription));
        Ok(Some(Reply::Done))
    }

    fn register(&mut self, caller: Caller, name: &str, token: Option<&str>, plan: &mut Plan) -> Answer {
        self.decide_plain(caller, Action::Register, token)?;
        let name: AgentName = name.parse().map_err(|why| Rejection::BadArgument("name", why))?;
        match (self.state.directory.name(&caller.agent), self.state.directory.named(&name)) {
            (Some(own), _) if own == name.as_str() => return Ok(Some(Reply::Done)),
            (Some(own), _) => {
                return Err(Rejection::NameTaken(format!("this agent is registered as `{own}`")));
            }
            (None, Some(_)) => {
                return Err(Rejection::NameTaken(format!("`{name}` is another agent's name")));
            }
            (None, None) => self.has_room_for_an_agent()?,
        }
        let outcome = Outcome::Registered { agent: caller.agent, name: name.to_string() };
        self.commit_administrative(caller, outcome, Body::Empty, plan);
        Ok(Some(Reply::Done))
    }

    fn has_room_for_an_agent(&self) -> Result<(), Rejection> {
        let max = self.config.agents_max;
        if self.state.directory.count() < max { Ok(()) } else { Err(Rejection::TooManyAgents(max)) }
    }

    fn list_agents(&self, caller: Caller) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let rows = self.state.directory.iter().map(|(id, agent)| self.agent_row(id, agent).to_string());
        Ok(Some(Reply::Rows(rows.collect())))
    }

    fn list_conversations(&self, caller: Caller) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let readable =
            self.state.conversations.iter().filter(|(_, state)| state.role_of(&caller.agent).is_some());
        let rows = readable.filter_map(|(id, _)| conversation_row(self, id, &caller.agent, caller.now));
        Ok(Some(Reply::Rows(rows.map(|row| row.to_string()).collect())))
    }

    fn show_conversation(&self, caller: Caller, conversation: &str) -> Answer {
        self.decide_plain(caller, Action::Read, None)?;
        let id: ConversationId =
            conversation.parse().map_err(|why| Rejection::BadArgument("conversation", why))?;
        let member = |state: &crate::Conversation| state.role_of(&caller.agent).is_some();
        self.state.conversations.get(&id).filter(|state| member(state)).ok_or(Rejection::NotFound)?;
        let row = conversation_row(self, &id, &caller.agent, caller.now).ok_or(Rejection::NotFound)?;
        Ok(Some(Reply::Rows(vec![row.to_string()])))
    }

    fn query_log(&self, caller: Caller, asked: Question, plan: &mut Plan) -> Answer {
        let question = Box::new(self.view.question(asked)?);
        plan.effects.push(Effect::Query { ticket: caller.ticket, question });
        Ok(None)
    }

    fn get_receipt(&self, caller: Caller, message: &Digest, id: &str, plan: &mut Plan) -> Answer {
        let long_ago = Timestamp::from_millis(i64::MAX);
        match self.state.dedup.look_up(&caller.agent, short_id(id), message, long_ago) {
            Lookup::Again(seq) => {
                let taken = Taken { seq, digest: *message };
                plan.effects.push(Effect::FetchReceipt(caller.ticket, taken));
                Ok(None)
            }
            _ => Ok(Some(Reply::Receipt(None))),
        }
    }

    pub(crate) fn commit_administrative(
        &mut self,
        caller: Caller,
        outcome: Outcome,
        body: Body,
        plan: &mut Plan,
    ) {
        let draft = self.draft_in(Logical::domain(), Some(caller.agent), outcome, body);
        self.commit(draft, None, plan);
        plan.effects.push(Effect::PublishView);
    }

    /// Decides an action that concerns no message; a right admin token lends the standing of an admin.
    pub(crate) fn decide_plain(
        &self,
        caller: Caller,
        action: Action,
        token: Option<&str>,
    ) -> Result<(), Rejection> {
        self.check_admin_token(token)?;
        self.decide_context(&self.context(caller, action, token))
    }

    /// Whoever shows an admin token shows the right one.
    pub(crate) fn check_admin_token(&self, token: Option<&str>) -> Result<(), Rejection> {
        match token {
            Some(token) if Digest::of(token.as_bytes()) != self.config.admin_token => {
                Err(Rejection::InvalidToken)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn decide_context(&self, context: &StaticContext<'_>) -> Result<(), Rejection> {
        let decision = decided(&self.view, context);
        if decision.allows() { Ok(()) } else { Err(Rejection::Denied(decision)) }
    }

    pub(crate) fn context(&self, caller: Caller, action: Action, token: Option<&str>) -> StaticContext<'_> {
        let standing = match token {
            Some(_) => Standing::Admin,
            None => self.view.standing(&caller.agent),
        };
        let agent_name = self.state.directory.name(&caller.agent);
        StaticContext {
            action,
            agent: caller.agent,
            agent_name,
            standing,
            origin: Origin::Agent,
            authenticity: Authenticity::Connection,
            destination: reads_as(action, caller.agent, agent_name),
            performative: None,
            schema: None,
            protocol: None,
        }
    }

    /// Parses `mesh://<domain>/topic/<pattern>` or `topic:<pattern>`.
    pub(super) fn parse_pattern(&self, text: &str) -> Result<TopicPattern, Rejection> {
        parse_pattern(self.config.domain, text)
    }
}

/// Parses `mesh://<domain>/topic/<pattern>` or `topic:<pattern>`.
fn parse_pattern(domain: DomainId, text: &str) -> Result<TopicPattern, Rejection> {
    let refused = |why: String| Rejection::BadArgument("pattern", why);
    let absolute = format!("mesh://{domain}/topic/");
    let path = match text.strip_prefix(&absolute).or_else(|| text.strip_prefix("topic:")) {
        Some(path) => path,
        None if text.starts_with("mesh://") => return Err(Rejection::ForeignDomain),
        None => {
            return Err(refused("a subscription names a topic pattern: topic:market/*".to_owned()));
        }
    };
    path.parse().map_err(|error: openmesh_message::TopicError| refused(error.to_string()))
}

/// A question about nothing in particular reads what the domain shows the asker: it goes to its own address.
pub(crate) fn reads_as(action: Action, agent: AgentId, name: Option<&str>) -> Option<Destination<'_>> {
    (action == Action::Read).then_some(Destination::Agent(Party { id: Some(agent), name }))
}
