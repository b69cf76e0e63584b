//! A compiling child, as a host embeds it: `compile INPUT OUTPUT STACK_BYTES MEMORY_BYTES SECONDS`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use atelier_runtime::{CompileLimits, compile_in_this_process};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, input, output, stack_bytes, memory_bytes, seconds] = arguments.as_slice() else {
        eprintln!("usage: compile INPUT OUTPUT STACK_BYTES MEMORY_BYTES SECONDS");
        return ExitCode::from(64);
    };
    let (Ok(stack_bytes), Ok(memory_bytes), Ok(seconds), "compile") =
        (stack_bytes.parse(), memory_bytes.parse(), seconds.parse(), verb.as_str())
    else {
        eprintln!("the last three arguments are numbers");
        return ExitCode::from(64);
    };
    let limits = CompileLimits { memory_bytes, time: Duration::from_secs(seconds) };
    match compile_in_this_process(Path::new(input), Path::new(output), stack_bytes, limits) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
