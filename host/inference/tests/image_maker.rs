//! The image engine's limits, queue, cancelling and life cycle, on a tiny network.

use std::time::Duration;

use atelier_inference::{
    EngineError, EngineState, ImageConfig, ImageEngine, ImageFamily, ImageMaker, ImageRequest, Making,
    ModelError, Picture, PiecesDone, WeightsSource,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Three channels that stay as they are, then every pixel twice a side.
const GRAPH: &str = "7767517\n3 3\nInput in 0 1 data\nConvolution c 1 1 data x 0=3 1=3 4=1 5=1 6=81\nInterp i 1 1 x out 0=1 1=2.0 2=2.0\n";

fn write(folder: &std::path::Path) {
    let mut numbers = vec![0.0_f32; 1 + 81 + 3];
    for channel in 0..3 {
        numbers[1 + channel * 27 + channel * 9 + 4] = 1.0;
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(folder.join("model.param"), GRAPH).expect("it is written");
    std::fs::write(folder.join("model.bin"), bytes).expect("it is written");
}

struct Fixture {
    engine: ImageMaker,
    folder: tempfile::TempDir,
}

/// Tiles of four pixels a side, so that there are many.
fn config() -> ImageConfig {
    ImageConfig { tile_bytes_max: 64 << 10, pixels_max: 1 << 20, threads: Some(1), ..ImageConfig::default() }
}

fn engine(config: ImageConfig) -> Fixture {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    let source = WeightsSource::File(folder.path().to_owned());
    Fixture { engine: ImageMaker::lazy(source, ImageFamily::RealEsrgan, config), folder }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it ends in time")
}

fn picture(width: usize, height: usize) -> Picture {
    let bytes = (0..width * height * 3).map(|at| (at % 251) as u8).collect();
    Picture::new(width, height, 3, bytes).expect("a picture")
}

fn upscale(width: usize, height: usize) -> ImageRequest {
    ImageRequest::Upscale(picture(width, height))
}

/// A picture of thousands of tiles, of which the first is computed.
async fn begun(engine: &ImageMaker) -> Making {
    let making = in_time(engine.make(upscale(1024, 1024))).await.expect("it begins");
    let mut pieces = making.pieces();
    in_time(pieces.wait_for(|pieces| pieces.done > 0)).await.expect("it goes on");
    making
}

async fn all_free(engine: &ImageMaker, places: usize) {
    in_time(async {
        while engine.free_places() < places {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn every_tile_is_put_where_it_belongs_and_progress_is_told() {
    let fixture = engine(config());
    let before = picture(131, 67);
    let making =
        in_time(fixture.engine.make(ImageRequest::Upscale(before.clone()))).await.expect("it begins");
    let pieces = making.pieces();
    let after = in_time(making.finish()).await.expect("it ends");
    let PiecesDone { done, total } = *pieces.borrow();
    assert!(done == total && total > 4, "{done} of {total}");
    assert_eq!((after.width(), after.height()), (262, 134));
    for (at, pixel) in after.bytes().as_chunks::<3>().0.iter().enumerate() {
        let source = (at / 262 / 2 * 131 + at % 262 / 2) * 3;
        assert_eq!(pixel[..], before.bytes()[source..source + 3], "pixel {at}");
    }
}

#[tokio::test]
async fn a_picture_of_too_many_pixels_is_refused_and_one_of_the_most_is_not() {
    let fixture = engine(ImageConfig { pixels_max: 64, ..config() });
    let refused = in_time(fixture.engine.make(upscale(13, 5))).await.expect_err("it must be refused");
    assert!(refused.to_string().contains("13 × 5 pixels; at most 64 are read"), "{refused}");
    let making = in_time(fixture.engine.make(upscale(8, 8))).await.expect("it begins");
    in_time(making.finish()).await.expect("it is the limit");
}

#[tokio::test]
async fn one_request_more_than_there_are_places_is_busy() {
    let fixture = engine(ImageConfig { places_max: 2, ..config() });
    let running = begun(&fixture.engine).await;
    let waiting = in_time(fixture.engine.make(upscale(8, 8))).await.expect("it waits");
    let refused = in_time(fixture.engine.make(upscale(8, 8))).await.expect_err("it must be refused");
    assert!(matches!(refused, EngineError::Busy { .. }), "{refused}");
    drop(running);
    in_time(waiting.finish()).await.expect("its turn comes when the first is given up");
    all_free(&fixture.engine, 2).await;
}

#[tokio::test]
async fn who_leaves_frees_the_place_long_before_the_picture_would_end() {
    let fixture = engine(config());
    let running = begun(&fixture.engine).await;
    let pieces = running.pieces();
    drop(running);
    all_free(&fixture.engine, 8).await;
    let PiecesDone { done, total } = *pieces.borrow();
    assert!(done < total, "{done} of {total}");
}

#[tokio::test]
async fn unloading_ends_what_runs_and_what_waits_and_the_next_use_loads_again() {
    let fixture = engine(config());
    let running = begun(&fixture.engine).await;
    let waiting = in_time(fixture.engine.make(upscale(8, 8))).await.expect("it waits");
    in_time(fixture.engine.unload()).await;
    for making in [running, waiting] {
        let ended = in_time(making.finish()).await;
        assert!(matches!(ended, Err(EngineError::Unloaded)), "{ended:?}");
    }
    assert_eq!(fixture.engine.state(), EngineState::Unloaded);
    all_free(&fixture.engine, 8).await;
    let again = in_time(fixture.engine.make(upscale(8, 8))).await.expect("it is loaded again");
    in_time(again.finish()).await.expect("it ends");
}

#[tokio::test]
async fn a_model_beyond_the_memory_is_refused_before_weights_are_read() {
    let fixture = engine(ImageConfig { memory_bytes_max: 1000, ..config() });
    let Err(EngineError::Model(error)) = in_time(fixture.engine.warm()).await else {
        panic!("it was loaded")
    };
    assert!(matches!(*error, ModelError::DoesNotFit { needed_bytes: 1001.., limit_bytes: 1000 }), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_said_and_harms_nothing() {
    let fixture = engine(config());
    std::fs::write(fixture.folder.path().join("model.bin"), [0; 100]).expect("it is written");
    let refused = in_time(fixture.engine.warm()).await.expect_err("it must be refused").to_string();
    assert!(refused.contains("it ends at byte 100, inside of c"), "{refused}");
}

#[tokio::test]
async fn what_another_kind_of_model_makes_is_refused_before_it_waits() {
    let fixture = engine(config());
    let refused = in_time(fixture.engine.make(ImageRequest::Generate { seed: 1 })).await;
    let refused = refused.expect_err("it must be refused").to_string();
    assert!(refused.contains("another kind of pictures"), "{refused}");
    all_free(&fixture.engine, 8).await;
}
