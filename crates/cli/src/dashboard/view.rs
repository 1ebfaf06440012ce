//! How the dashboard looks. Draws a [`State`] and changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, LineGauge, Paragraph, Sparkline};
use tokmeter_record::analysis::gauges::GaugeKind;

use super::keys;
use super::state::{Gauge, Quantiles, State, WINDOW};
use crate::console::harmless_cut;
use crate::console::number::integer;

const MUTED: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const ACCENT: Color = Color::Cyan;

/// From this height on, each figure has a chart of its own.
const CHARTS_FROM: u16 = 40;
/// Below this the panes are useless.
const LEAST: (u16, u16) = (60, 16);

/// Draws the whole screen.
pub fn draw(state: &State, paused: bool, frame: &mut Frame) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(small(state), area);
        return;
    }
    let large = area.height >= CHARTS_FROM;
    let charts = if large { (area.height - 24).min(24) } else { 0 };
    let errors = if state.errors().is_empty() { 0 } else { 2 + state.errors().len().min(3) as u16 };
    let [title, progress, figures, curves, lower, wrong, log, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(6),
        Constraint::Length(charts),
        Constraint::Length(5),
        Constraint::Length(errors),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(state, title, frame);
    draw_progress(state, progress, frame);
    let [left, right] = halves(figures);
    load(state, left, frame);
    latency(state, right, frame);
    if large {
        draw_charts(state, curves, frame);
    }
    let [left, right] = halves(lower);
    client(state, left, frame);
    server(state, right, frame);
    draw_errors(state, wrong, frame);
    draw_log(state, log, frame);
    draw_foot(state, paused, foot, frame);
    if state.help {
        help(area, frame);
    }
}

fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Percentage(46), Constraint::Percentage(54)]).areas(area)
}

fn pane(title: &str) -> Block<'_> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(MUTED)
        .title(Span::styled(format!(" {title} "), STRONG))
}

fn small(state: &State) -> Paragraph<'_> {
    let counts = &state.counts;
    Paragraph::new(format!(
        "{} done, {} failed, {} in flight",
        integer(counts.records()),
        integer(counts.failed),
        integer(counts.in_flight())
    ))
}

fn draw_title(state: &State, area: Rect, frame: &mut Frame) {
    let phase = state.phase.as_ref().map_or("starting", |phase| phase.expected.phase.as_str());
    let elapsed = format!("{} ", clock(state.at));
    let room = usize::from(area.width).saturating_sub(elapsed.len() + phase.len() + 16);
    let line = Line::from(vec![
        Span::styled(" tokmeter  ", Style::new().fg(ACCENT).add_modifier(Modifier::BOLD)),
        Span::styled(phase.to_owned(), STRONG),
        Span::styled(format!("  {}", harmless_cut(&state.title, room)), MUTED),
    ]);
    frame.render_widget(line, area);
    frame.render_widget(Paragraph::new(elapsed).alignment(Alignment::Right), area);
}

fn draw_progress(state: &State, area: Rect, frame: &mut Frame) {
    let Some((share, done, left)) = state.progress() else { return };
    let expected = state.phase.as_ref().map(|phase| &phase.expected);
    let of = expected
        .and_then(|expected| expected.requests)
        .map_or_else(String::new, |n| format!(" of {}", integer(n)));
    let left = left.map_or_else(String::new, |left| format!(", {} left", clock(left)));
    let text = format!(" {:3.0} %  {}{of} requests{left} ", share * 100.0, integer(done));
    let [text_area, bar] =
        Layout::horizontal([Constraint::Length(text.chars().count() as u16), Constraint::Min(10)])
            .areas(area);
    frame.render_widget(Paragraph::new(text), text_area);
    let gauge = LineGauge::default()
        .ratio(share)
        .label("")
        .filled_symbol("━")
        .unfilled_symbol("─")
        .filled_style(Style::new().fg(ACCENT))
        .unfilled_style(MUTED);
    frame.render_widget(gauge, bar);
}

/// A pane of lines: name, figure, and its last seconds as a sparkline.
fn lines_with_curves(
    title: &str,
    rows: &[(Line<'_>, &VecDeque<f64>, Color)],
    text: u16,
    area: Rect,
    frame: &mut Frame,
) {
    let block = pane(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    for ((line, history, colour), y) in rows.iter().zip(inner.y..inner.bottom()) {
        let row = Rect { y, height: 1, ..inner };
        let [text, curve] = Layout::horizontal([Constraint::Length(text), Constraint::Min(0)]).areas(row);
        frame.render_widget(line.clone(), text);
        curve_of(history, *colour, curve, frame);
    }
}

fn curve_of(history: &VecDeque<f64>, colour: Color, area: Rect, frame: &mut Frame) {
    let newest = history.len().saturating_sub(usize::from(area.width));
    let shown: Vec<f64> = history.iter().skip(newest).copied().collect();
    let most = shown.iter().copied().fold(0.0, f64::max);
    // Sparklines take whole numbers: the curve is scaled to a thousand steps.
    let steps = shown.iter().map(|value| if most > 0.0 { (value / most * 1000.0) as u64 } else { 0 });
    let curve =
        Sparkline::default().data(steps.collect::<Vec<u64>>()).max(1000).style(Style::new().fg(colour));
    frame.render_widget(curve, area);
}

fn figure(name: &str, value: &str) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!(" {name:<13}"), MUTED),
        Span::styled(format!("{value:>9} "), STRONG),
    ])
}

fn newest(history: &VecDeque<f64>) -> String {
    history.back().map_or_else(|| "–".to_owned(), |value| rounded(*value))
}

fn load(state: &State, area: Rect, frame: &mut Frame) {
    let history = &state.history;
    let failed = state.counts.failed;
    let share = failed as f64 * 100.0 / state.counts.records().max(1) as f64;
    let style = if failed > 0 { Style::new().fg(Color::Red).add_modifier(Modifier::BOLD) } else { STRONG };
    let failures = Line::from(vec![
        Span::styled(format!(" {:<13}", "failed"), MUTED),
        Span::styled(format!("{:>9} ", integer(failed)), style),
    ]);
    let none = VecDeque::new();
    lines_with_curves(
        "Load",
        &[
            (figure("requests/s", &newest(&history.requests)), &history.requests, Color::Green),
            (figure("tokens/s", &newest(&history.tokens)), &history.tokens, Color::Magenta),
            (figure("in flight", &integer(state.counts.in_flight())), &history.in_flight, Color::Blue),
            (failures, &none, Color::Red),
        ],
        24,
        area,
        frame,
    );
    if failed > 0 {
        // The share stands where other lines have their curve.
        let row = Rect { x: area.x + 25, y: area.y + 4, width: area.width.saturating_sub(27), height: 1 };
        frame.render_widget(Span::styled(format!("{share:.1} %"), style), row);
    }
}

fn latency(state: &State, area: Rect, frame: &mut Frame) {
    let row = |name: &str, of: Option<Quantiles>| {
        let cell = |value: Option<f64>| format!("{:>10}", value.map_or_else(|| "–".to_owned(), milliseconds));
        Line::from(vec![
            Span::styled(format!(" {name:<8}"), MUTED),
            Span::styled(cell(of.map(|q| q.p50)), STRONG),
            Span::raw(cell(of.map(|q| q.p99))),
            Span::raw(" "),
        ])
    };
    let history = &state.history;
    let none = VecDeque::new();
    let head = Line::from(Span::styled(format!(" {:<8}{:>10}{:>10}", "", "p50", "p99"), MUTED));
    lines_with_curves(
        &format!("Latency, last {} s", WINDOW.as_secs()),
        &[
            (head, &none, ACCENT),
            (row("TTFT", state.ttft()), &history.ttft, Color::Yellow),
            (row("ITL", state.itl()), &history.itl, Color::Cyan),
            (row("request", state.latency()), &history.latency, Color::Green),
        ],
        31,
        area,
        frame,
    );
}

/// Writes a value of a chart.
type Shown = fn(f64) -> String;

fn draw_charts(state: &State, area: Rect, frame: &mut Frame) {
    let history = &state.history;
    let charts: [(&str, &VecDeque<f64>, Color, Shown); 4] = [
        ("Output tokens/s", &history.tokens, Color::Magenta, rounded),
        ("Requests in flight", &history.in_flight, Color::Blue, rounded),
        ("Time to first token, median", &history.ttft, Color::Yellow, milliseconds),
        ("Inter-token latency, median", &history.itl, Color::Cyan, milliseconds),
    ];
    let [upper, lower] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    let places = halves(upper).into_iter().chain(halves(lower));
    for ((name, values, colour, shown), place) in charts.into_iter().zip(places) {
        let most = values.iter().copied().fold(0.0, f64::max);
        let title = if most > 0.0 { format!("{name}, up to {}", shown(most)) } else { name.to_owned() };
        let block = pane(&title);
        let inner = block.inner(place);
        frame.render_widget(block, place);
        curve_of(values, colour, inner, frame);
    }
}

fn client(state: &State, area: Rect, frame: &mut Frame) {
    let lag = |of: Option<Quantiles>| of.map_or_else(|| "–".to_owned(), |q| milliseconds(q.p99));
    let counts = &state.counts;
    let waits = format!("{} / {}", integer(counts.slot_waits), integer(counts.decode_stalls));
    let rows = [
        figure("schedule lag", &format!("{} p99", lag(state.schedule_lag()))),
        figure("receive lag", &format!("{} p99", lag(state.receive_lag()))),
        figure("waits/stalls", &waits),
    ];
    frame.render_widget(Paragraph::new(rows.to_vec()).block(pane("This client")), area);
}

fn server(state: &State, area: Rect, frame: &mut Frame) {
    let row = |gauge: &Gauge| {
        let (name, value) = match gauge.kind {
            GaugeKind::Queue => ("waiting", rounded(gauge.value)),
            GaugeKind::Running => ("running", rounded(gauge.value)),
            // Servers report a share of one, some of them per cent.
            GaugeKind::CacheUse => ("cache in use", format!("{:.0} %", share(gauge.value) * 100.0)),
        };
        let mut line = figure(name, &value);
        line.push_span(Span::styled(format!(" {}", harmless_cut(&gauge.name, 40)), MUTED));
        line
    };
    let rows: Vec<Line> = match state.gauges.is_empty() {
        true => vec![Line::styled(" no gauges known from its metrics page", MUTED)],
        false => state.gauges.iter().map(row).collect(),
    };
    frame.render_widget(Paragraph::new(rows).block(pane("Server")), area);
}

fn share(value: f64) -> f64 {
    if value > 1.5 { value / 100.0 } else { value }
}

fn draw_errors(state: &State, area: Rect, frame: &mut Frame) {
    if area.height == 0 {
        return;
    }
    let width = usize::from(area.width).saturating_sub(14);
    let rows: Vec<Line> = state
        .errors()
        .into_iter()
        .map(|(text, count)| {
            Line::from(vec![
                Span::styled(format!(" {:>8}  ", integer(count)), Style::new().fg(Color::Red)),
                Span::raw(harmless_cut(text, width)),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(rows).block(pane("Errors")), area);
}

fn draw_log(state: &State, area: Rect, frame: &mut Frame) {
    let room = usize::from(area.height).saturating_sub(2);
    let newest = state.log.len().saturating_sub(room);
    let width = usize::from(area.width).saturating_sub(4);
    let rows: Vec<Line> = state
        .log
        .iter()
        .skip(newest)
        .map(|line| Line::raw(format!(" {}", harmless_cut(line, width))))
        .collect();
    frame.render_widget(Paragraph::new(rows).block(pane("Log")), area);
}

fn draw_foot(state: &State, paused: bool, area: Rect, frame: &mut Frame) {
    let key = |key: &'static str, does: &'static str| {
        [
            Span::styled(format!(" {key} "), Style::new().add_modifier(Modifier::REVERSED)),
            Span::raw(format!(" {does}   ")),
        ]
    };
    let mut spans = vec![Span::raw(" ")];
    spans.extend(key("q", if state.ending { "cancel the rest" } else { "end the run" }));
    spans.extend(key("p", if paused { "go on" } else { "pause the screen" }));
    spans.extend(key("?", "keys"));
    if state.ending {
        spans.push(Span::styled("ending: waiting for requests in flight", Style::new().fg(Color::Yellow)));
    } else if paused {
        spans.push(Span::styled("paused; the run goes on", Style::new().fg(Color::Yellow)));
    }
    frame.render_widget(Line::from(spans), area);
}

fn help(area: Rect, frame: &mut Frame) {
    let width = 80.min(area.width);
    let height = (keys::HELP.len() as u16 + 4).min(area.height);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let rows: Vec<Line> = std::iter::once(Line::raw(""))
        .chain(keys::HELP.iter().map(|(key, does)| {
            Line::from(vec![Span::styled(format!("  {key:<5}"), STRONG), Span::raw((*does).to_owned())])
        }))
        .collect();
    frame.render_widget(Clear, place);
    frame
        .render_widget(Paragraph::new(rows).block(pane("Keys").border_style(Style::new().fg(ACCENT))), place);
}

fn rounded(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => integer(value.round() as u64),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn milliseconds(ms: f64) -> String {
    match ms.abs() {
        size if size >= 10_000.0 => format!("{:.1} s", ms / 1000.0),
        size if size >= 100.0 => format!("{ms:.0} ms"),
        size if size >= 10.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.2} ms"),
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use tokmeter_engine::LiveCounts;

    use super::*;
    use crate::console::progress::Expected;
    use crate::dashboard::feed::Sample;
    use crate::dashboard::state::Update;

    /// A run of half a minute: 16 in flight, one failure each ten seconds.
    fn state() -> State {
        let mut state = State::new("my-model on http://localhost:8000".to_owned());
        let mut records = 0;
        for second in 0..=30u64 {
            records += 20 + second % 7;
            let sample = |index: u64| Sample {
                ttft: Some(40.0 + ((second * 7 + index) % 25) as f64),
                itl: Some(8.0 + (index % 5) as f64 / 10.0),
                latency: Some(350.0 + (index % 40) as f64),
                schedule_lag: 0.05,
                receive_lag: Some(0.021),
                error: (second % 10 == 5 && index == 0)
                    .then(|| "503 Service Unavailable: queue full".to_owned()),
            };
            let failed = u64::from(second > 5) + u64::from(second > 15) + u64::from(second > 25);
            state.update(Update {
                at: Duration::from_secs(second),
                counts: LiveCounts {
                    started: records + 16,
                    ended: records,
                    succeeded: records - failed,
                    failed,
                    output_tokens: records * 32,
                    slot_waits: 12,
                    ..LiveCounts::default()
                },
                phase: (second == 0).then(|| Expected {
                    phase: "profiling".into(),
                    requests: Some(1_200),
                    duration: None,
                }),
                samples: (0..20).map(sample).collect(),
                gauges: vec![
                    Gauge { kind: GaugeKind::Queue, name: "vllm:num_requests_waiting".into(), value: 3.0 },
                    Gauge { kind: GaugeKind::Running, name: "vllm:num_requests_running".into(), value: 16.0 },
                    Gauge { kind: GaugeKind::CacheUse, name: "vllm:kv_cache_usage_perc".into(), value: 0.34 },
                ],
                log: if second == 3 {
                    vec!["WARN server metrics: one page only".to_owned()]
                } else {
                    Vec::new()
                },
            });
        }
        state
    }

    fn screen(state: &State, paused: bool, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(state, paused, frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_small_terminal_has_everything() {
        insta::assert_snapshot!(screen(&state(), false, 80, 24));
    }

    #[test]
    fn a_large_terminal_has_charts() {
        insta::assert_snapshot!(screen(&state(), false, 200, 60));
    }

    #[test]
    fn help_and_pause_are_seen() {
        let mut state = state();
        state.help = true;
        insta::assert_snapshot!(screen(&state, true, 80, 24));
    }

    #[test]
    fn no_size_and_no_state_is_too_small() {
        for (width, height) in [(1, 1), (20, 5), (60, 16), (80, 24), (300, 100)] {
            screen(&State::new(String::new()), false, width, height);
            let text = screen(&state(), true, width, height);
            assert_eq!(text.lines().count(), usize::from(height), "{width}x{height}");
        }
    }
}
