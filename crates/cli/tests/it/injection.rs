//! Hostile text from a server: it steers no terminal, breaks no file and is no formula to a spreadsheet.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::run;

const HOSTILE: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m<script>alert(1)</script>\r\n=HYPERLINK(\"http://evil\")";

fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    let (status, kind, answer) = match &head[..4] {
        "GET " | "HEAD" => {
            let label = HOSTILE.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let page = format!(
                "# HELP up {}\n# TYPE up gauge\nup{{model=\"{label}\",cell=\"=1+1\"}} 1\n",
                label.replace('\r', "")
            );
            ("200 OK", "text/plain; version=0.0.4", page)
        }
        _ => {
            let body = format!("{{\"error\":{{\"message\":{quoted},\"type\":{quoted},\"code\":{quoted}}}}}");
            ("500 Internal Server Error", "application/json", body)
        }
    };
    let body = if head.starts_with("HEAD") { "" } else { &answer };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        answer.len()
    );
}

fn assert_harmless(name: &str, bytes: &[u8]) {
    let text = String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    let steering = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    assert_eq!(steering, None, "{name}: {text:?}");
}

#[test]
fn console_and_files_stay_harmless() {
    let address = server();
    let directory = tempfile::tempdir().unwrap();
    let output = run::tokmeter()
        .args(["profile", "-m", "m\u{1b}[31m\u{7}", "--streaming", "--request-count=4", "--ui=none", "-vv"])
        .args([
            "--url",
            &format!("http://{address}"),
            "--no-gpu-telemetry",
            "--export-level=raw",
            "--artifact-dir",
        ])
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", run::shown(&output));
    assert_harmless("stdout", &output.stdout);
    assert_harmless("stderr", &output.stderr);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("Internal Server Error"), "the error is told, disarmed: {shown}");

    let mut formats = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.ends_with(".csv")
            || name.ends_with(".json")
            || name.ends_with(".jsonl")
            || name.ends_with(".txt"))
        {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        formats += 1;
        // JSON escapes what is below U+0020; its readers print nothing of itself.
        let printable = String::from_utf8_lossy(&bytes).replace(|c| ('\u{80}'..='\u{9f}').contains(&c), "");
        assert_harmless(&name, if name.contains(".json") { printable.as_bytes() } else { &bytes });
        if name.ends_with(".csv") {
            for line in String::from_utf8(bytes).unwrap().lines() {
                for cell in line.split(',') {
                    let cell = cell.trim_matches('"');
                    assert!(!cell.starts_with(['=', '@']), "{name}: a formula in {line}");
                }
            }
        }
    }
    assert!(formats >= 6, "{formats} files");
    let csv = fs::read_to_string(directory.path().join("server_metrics_export.csv")).unwrap();
    assert!(csv.contains("'=1+1"), "the label was met: {csv}");
}
