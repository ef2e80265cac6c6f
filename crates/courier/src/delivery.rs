//! Sends a message until the application accepts or rejects it.

use std::sync::Arc;
use std::time::Instant;

use crate::application::{Answer, Application};
use crate::decision::{Action, decide};
use crate::gate::Gate;
use crate::queue::{Message, Queue, Request};
use crate::shared::{Shared, pause};
use crate::{CancellationToken, Event};

/// How the delivery of a message ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The application has accepted it.
    Accepted,
    /// The application rejects it, for this reason. It has to be moved to the dead letters.
    Rejected(String),
    /// The delivery was stopped. The message has to be delivered again.
    Stopped,
}

/// Delivers messages to an application.
pub struct Delivery {
    pub(crate) application: Application,
    pub(crate) gate: Gate,
    pub(crate) shared: Arc<Shared>,
}

impl Delivery {
    /// Creates a delivery.
    pub fn new(application: Application, shared: Arc<Shared>) -> Delivery {
        let gate = Gate::new(shared.timing.hold);
        Delivery { application, gate, shared }
    }

    /// Returns the application.
    pub fn application(&self) -> &Application {
        &self.application
    }

    /// Delivers a message. A request that has been sent is finished even after `stop`.
    pub async fn deliver(&self, message: &Message, stop: &CancellationToken) -> Outcome {
        let metrics = &self.shared.metrics;
        let outcome = match message.request() {
            Ok(request) => self.send(message, &request, stop).await,
            Err(reason) => Outcome::Rejected(reason),
        };
        match &outcome {
            Outcome::Accepted => metrics.delivered.add(message.queue, 1),
            // The application has to know before the message is gone. Its answer changes nothing
            // about this message.
            Outcome::Rejected(_) => {
                if let Some(request) = message.failure_request()
                    && self.send(message, &request, stop).await == Outcome::Stopped
                {
                    return Outcome::Stopped;
                }
            }
            Outcome::Stopped => {}
        }
        outcome
    }

    async fn send(
        &self,
        message: &Message,
        request: &Request,
        stop: &CancellationToken,
    ) -> Outcome {
        let queue = message.queue;
        let metrics = &self.shared.metrics;
        let mut retry = self.shared.timing.retry;
        let mut tries = 1;
        loop {
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => return Outcome::Stopped,
                permit = self.gate.pass(|| self.recovered()) => permit,
            };
            let start = Instant::now();
            let answer = self.application.post(request).await;
            metrics.add_request(queue, start.elapsed());
            let mut action = decide(answer.status, tries, request.may_be_gone);
            let failed = answer.status.is_some_and(|status| status.is_server_error());
            // Spin at its limit of concurrent requests responds with 500 to all of them.
            if action != Action::Hold && failed && !self.application.is_ready().await {
                action = Action::Hold;
            }
            if action == Action::Hold {
                metrics.held.add(queue, 1);
                if self.gate.failed(permit) {
                    self.paused(queue, &answer);
                }
                continue;
            }
            if let Some(pause) = self.gate.succeeded(permit) {
                metrics.set_paused(false);
                self.shared.report(&Event::Resumed { seconds: pause.as_secs_f64() });
            }
            match action {
                Action::Acknowledge => return Outcome::Accepted,
                Action::DeadLetter => return Outcome::Rejected(answer.to_string()),
                Action::Retry | Action::Hold => {
                    metrics.retried.add(queue, 1);
                    self.shared.report(&Event::Retrying {
                        queue: queue.name(),
                        id: message.id.clone(),
                        tries,
                        reason: answer.to_string(),
                    });
                    tries += 1;
                    pause(retry.next_delay(), stop).await;
                }
            }
        }
    }

    /// Records that a message is a dead letter.
    pub(crate) fn dead_lettered(&self, message: &Message, reason: String) {
        self.shared.metrics.dead.add(message.queue, 1);
        let (queue, id) = (message.queue.name(), message.id.clone());
        self.shared.report(&Event::DeadLettered { queue, id, reason });
    }

    /// Waits until the application is ready.
    pub(crate) async fn ready(&self) {
        while !self.application.is_ready().await {
            tokio::time::sleep(self.shared.timing.ready).await;
        }
    }

    /// Waits until the application is ready after it was not. If it is ready from the beginning,
    /// something else keeps it from accepting requests, and this never returns.
    async fn recovered(&self) {
        while self.application.is_ready().await {
            tokio::time::sleep(self.shared.timing.ready).await;
        }
        self.ready().await;
    }

    fn paused(&self, queue: Queue, answer: &Answer) {
        self.shared.metrics.set_paused(true);
        let reason = answer.to_string();
        self.shared.report(&Event::Paused { queue: queue.name(), reason });
    }
}
