//! Delivery while it goes on: lines that are written over on a terminal, one after the other
//! elsewhere, none for scripts.

use ferryway_api::{DeliveryState, InstanceDelivery, InstanceEvent, Operation};

use crate::exit::Failure;
use crate::outcome;
use crate::screen::{Paint, Screen};
use crate::table::{pad, shown_width};

/// An operation under way, as far as it was heard of.
#[derive(Debug)]
pub(crate) struct Progress {
    screen: Screen,
    operation: Operation,
    /// Lines that stand on the terminal and will be written over.
    drawn: usize,
}

impl Progress {
    /// Begins with what the answer to the call said.
    pub(crate) fn begin(screen: Screen, operation: Operation) -> Result<Self, Failure> {
        let mut progress = Self {
            screen,
            operation,
            drawn: 0,
        };
        progress.draw()?;
        Ok(progress)
    }

    /// Takes in how one instance stands, and shows it.
    pub(crate) fn instance(&mut self, event: InstanceEvent) -> Result<(), Failure> {
        if self.screen.is_for_people() && !self.screen.can_redraw() {
            self.screen.line(&event_line(&event))?;
        }
        merge(&mut self.operation, event);
        self.draw()
    }

    /// Makes room for what comes after it, and tells how many instances have answered.
    pub(crate) fn end(mut self) -> Result<String, Failure> {
        self.erase()?;
        Ok(outcome::answered(&self.operation))
    }

    fn draw(&mut self) -> Result<(), Failure> {
        if !self.screen.can_redraw() {
            return Ok(());
        }
        self.erase()?;
        let text = block(&self.operation, self.screen.paint());
        self.drawn = text.lines().count();
        self.screen.print(&text)
    }

    fn erase(&mut self) -> Result<(), Failure> {
        match std::mem::take(&mut self.drawn) {
            0 => Ok(()),
            lines => self.screen.print(&erasing(lines)),
        }
    }
}

/// What takes the last lines off a terminal.
pub(crate) fn erasing(lines: usize) -> String {
    format!("\x1b[{lines}A\x1b[J")
}

fn merge(operation: &mut Operation, event: InstanceEvent) {
    let InstanceEvent {
        group,
        service,
        instance,
    } = event;
    let destinations = operation.destinations.iter_mut();
    for destination in destinations.filter(|it| it.group == group && it.service == service) {
        match destination
            .instances
            .iter_mut()
            .find(|it| it.id == instance.id)
        {
            Some(known) => known.clone_from(&instance),
            None => destination.instances.push(instance.clone()),
        }
    }
}

/// `httpbin in production  gw-1  applied  3ms`.
fn event_line(event: &InstanceEvent) -> String {
    let InstanceEvent {
        group,
        service,
        instance,
    } = event;
    let took = instance
        .took
        .as_deref()
        .map_or_else(String::new, |took| format!("  {took}"));
    let state = state_text(instance.state);
    format!("{service} in {group}  {}  {state}{took}", instance.hostname)
}

fn block(operation: &Operation, paint: Paint) -> String {
    let mut lines = Vec::new();
    for destination in &operation.destinations {
        for instance in &destination.instances {
            let place = format!("{} in {}", destination.service, destination.group);
            lines.push((place, instance));
        }
    }
    // Those that are waited for stand where they are seen, if not all can be.
    lines.sort_by_key(|(_, instance)| instance.state != DeliveryState::Pending);
    let width = lines
        .iter()
        .map(|(place, _)| shown_width(place))
        .max()
        .unwrap_or_default();
    let shown = lines.iter().take(LINES_MAX);
    let mut text: String = shown
        .map(|(place, instance)| {
            format!(
                "{}  {}\n",
                pad(place, width),
                instance_text(instance, paint)
            )
        })
        .collect();
    if lines.len() > LINES_MAX {
        text.push_str(&format!("{} in all\n", outcome::answered(operation)));
    }
    text
}

fn instance_text(instance: &InstanceDelivery, paint: Paint) -> String {
    let state = pad(state_text(instance.state), "rejected".len());
    let state = match instance.state {
        DeliveryState::Pending => paint.dim(&state),
        DeliveryState::Applied => paint.good(&state),
        DeliveryState::Rejected => paint.bad(&state),
        DeliveryState::Offline => paint.warn(&state),
    };
    let took = instance.took.as_deref().unwrap_or_default();
    format!("{state}  {}  {took}", instance.hostname)
        .trim_end()
        .to_owned()
}

fn state_text(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Applied => "applied",
        DeliveryState::Rejected => "rejected",
        DeliveryState::Offline => "offline",
    }
}

/// The most lines that are written over: less than a terminal has.
const LINES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::samples::{instance, operation};

    #[test]
    fn an_event_changes_its_instance_only() {
        let mut operation = operation();
        let mut event = InstanceEvent {
            group: "production".to_owned(),
            service: "httpbin".to_owned(),
            instance: instance("gw-2", DeliveryState::Applied),
        };
        merge(&mut operation, event.clone());
        assert_eq!(
            operation.destinations[0].instances[1].state,
            DeliveryState::Applied
        );
        event.instance = instance("gw-9", DeliveryState::Pending);
        merge(&mut operation, event.clone());
        assert_eq!(operation.destinations[0].instances.len(), 4);
        event.group = "elsewhere".to_owned();
        event.instance = instance("gw-1", DeliveryState::Rejected);
        merge(&mut operation, event);
        assert_eq!(
            operation.destinations[0].instances[0].state,
            DeliveryState::Applied
        );
    }

    #[test]
    fn what_stands_on_the_terminal_and_in_the_pipe() {
        let mut operation = operation();
        operation.destinations[0].instances[2].state = DeliveryState::Pending;
        insta::assert_snapshot!(block(&operation, Paint::PLAIN), @"
            httpbin in production  pending   gw-3  3ms
            httpbin in production  applied   gw-1  3ms
            httpbin in production  applied   gw-2  3ms
        ");
        let event = InstanceEvent {
            group: "production".to_owned(),
            service: "httpbin".to_owned(),
            instance: instance("gw-1", DeliveryState::Applied),
        };
        assert_eq!(
            event_line(&event),
            "httpbin in production  gw-1  applied  3ms"
        );
    }

    #[test]
    fn a_large_group_does_not_fill_the_terminal() {
        let mut operation = operation();
        operation.destinations[0].instances = (0..100)
            .map(|n| instance(&format!("gw-{n}"), DeliveryState::Applied))
            .collect();
        operation.destinations[0].instances[99].state = DeliveryState::Pending;
        let text = block(&operation, Paint::PLAIN);
        assert_eq!(text.lines().count(), LINES_MAX + 1);
        assert!(
            text.starts_with("httpbin in production  pending   gw-99"),
            "{text}"
        );
        assert!(
            text.ends_with("99/100 instances answered in all\n"),
            "{text}"
        );
    }
}
