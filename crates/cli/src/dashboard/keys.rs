//! What the keys do.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End the run; the second time, cancel what is in flight.
    End,
    /// Hold the screen still, or let it go on.
    Pause,
    /// Show the keys, or hide them.
    Help,
    /// Hide the keys.
    Close,
}

/// The keys with what they do, for the help.
pub const HELP: [(&str, &str); 4] = [
    ("q", "end the run: requests in flight may finish, results are written"),
    ("q q", "cancel what is in flight; once more to leave (Ctrl-C is the same as q)"),
    ("p", "pause the screen; the run goes on"),
    ("?", "this list"),
];

/// The action of an event. In raw mode Ctrl-C is a key, not a signal.
pub fn action(event: &Event) -> Option<Action> {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return None };
    match (code, modifiers.contains(KeyModifiers::CONTROL)) {
        (KeyCode::Char('c'), true) | (KeyCode::Char('q' | 'Q'), false) => Some(Action::End),
        (KeyCode::Char('p' | 'P' | ' '), false) => Some(Action::Pause),
        (KeyCode::Char('?' | 'h'), false) => Some(Action::Help),
        (KeyCode::Esc, _) => Some(Action::Close),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_meaning_each() {
        let key = |code, modifiers| action(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Action::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Char('p'), KeyModifiers::NONE), Some(Action::Pause));
        assert_eq!(key(KeyCode::Char('?'), KeyModifiers::SHIFT), Some(Action::Help));
        assert_eq!(key(KeyCode::Esc, KeyModifiers::NONE), Some(Action::Close));
        assert_eq!(action(&Event::Resize(1, 1)), None);
    }
}
