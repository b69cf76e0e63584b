//! Every kernel on the first NVIDIA card against the processor: prints the largest difference of each, relative to the root
//! mean square of the processor's, and fails where one is beyond its tolerance, or where there is no card.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[path = "cuda_check/cases.rs"]
mod cases;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[path = "../tests/support/gguf_file.rs"]
mod gguf_file;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn main() -> anyhow::Result<()> {
    use atelier_inference::kernels::{cpu::Cpu, cuda::Cuda};

    let (card, processor) = (Cuda::open(0)?, Cpu::new(None)?);
    let mut beyond = 0;
    let (mut found, mut right) = (cases::all(&card)?, cases::all(&processor)?);
    found.push(cases::model(card)?);
    right.push(cases::model(processor)?);
    for (found, right) in found.iter().zip(&right) {
        let squares: f64 = right.values.iter().map(|x| f64::from(*x).powi(2)).sum();
        let scale = (squares / right.values.len() as f64).sqrt().max(1e-30);
        // What is no number must not hide behind `max`.
        let difference =
            |x: f32, y: f32| if (x - y).is_nan() { f64::INFINITY } else { f64::from((x - y).abs()) };
        let off = found.values.iter().zip(&right.values).map(|(x, y)| difference(*x, *y)).fold(0.0, f64::max)
            / scale;
        let good = found.values.len() == right.values.len() && off <= right.tolerance;
        beyond += usize::from(!good);
        println!("{off:9.2e} of {:.0e} {} {}", right.tolerance, if good { "ok " } else { "BAD" }, right.name);
    }
    anyhow::ensure!(beyond == 0, "{beyond} of {} cases are beyond their tolerance", right.len());
    Ok(())
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("CUDA is for x86-64 Linux alone here")
}
