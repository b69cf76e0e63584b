//! The image models that an engine runs, as one.

use std::path::Path;

use super::ImageConfig;
use crate::dcgan::{DcganInfo, DcganModel};
use crate::error::{EngineError, ModelError};
use crate::esrgan::{EsrganModel, UpscalerInfo};
use crate::picture::Picture;
use crate::planner::Needs;
use crate::residency::Room;
use crate::running::Described;
use crate::style::{self, StyleInfo, StyleModel};

/// Which of the image models a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFamily {
    /// An upscaler: a folder with `model.param` and `model.bin`, as [`crate::esrgan`] reads them.
    RealEsrgan,
    /// A generator: a checkpoint of PyTorch, as [`crate::dcgan`] reads it.
    Dcgan,
    /// A network of styles: an ONNX file, as [`crate::style`] reads it.
    Style,
}

/// What is to be made. A model does one of these and refuses the others.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageRequest {
    /// This picture at the upscaler's larger size.
    Upscale(Picture),
    /// The picture of a seed: the same one gives the same picture.
    Generate {
        /// Any number.
        seed: u64,
    },
    /// This picture in a mix of the network's styles.
    Restyle {
        picture: Picture,
        /// How much of each style, beside the others.
        weights: Vec<f32>,
    },
}

impl ImageRequest {
    /// The picture that comes in.
    pub(super) fn picture(&self) -> Option<&Picture> {
        match self {
            Self::Upscale(picture) | Self::Restyle { picture, .. } => Some(picture),
            Self::Generate { .. } => None,
        }
    }
}

/// What an image model is and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageInfo {
    /// It makes pictures larger.
    Upscaler(UpscalerInfo),
    /// It makes pictures of random numbers.
    Generator(DcganInfo),
    /// It repaints pictures in styles.
    Stylist(StyleInfo),
}

impl ImageInfo {
    /// Bytes for weights and working space: what a loaded model takes before any request.
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Self::Upscaler(info) => info.memory_bytes,
            Self::Generator(info) => info.memory_bytes,
            Self::Stylist(info) => info.memory_bytes,
        }
    }
}

#[derive(Debug)]
enum Loaded {
    Upscaler(EsrganModel),
    Generator(DcganModel),
    Stylist(StyleModel),
}

/// A loaded image model.
#[derive(Debug)]
pub(super) struct ImageModel {
    info: ImageInfo,
    loaded: Loaded,
}

impl ImageModel {
    /// Load a model, once `admit` has found room for what it and the pictures of its requests need.
    pub(super) fn load(
        path: &Path,
        family: ImageFamily,
        config: &ImageConfig,
        admit: impl Fn(&Needs) -> Result<Room, EngineError>,
    ) -> Result<(Self, Room), EngineError> {
        let admit = |growth: usize, mut needs: Needs| {
            needs.ends_bytes = needs.ends_bytes.saturating_add(config.pictures_bytes(growth));
            needs.check(config.memory_bytes_max)?;
            admit(&needs)
        };
        let (info, loaded, room) = match family {
            ImageFamily::RealEsrgan => {
                let (tile_bytes, threads) = (config.tile_bytes_max, config.threads);
                let (model, room) = EsrganModel::load_planned(path, tile_bytes, threads, |info, needs| {
                    admit(info.scale * info.scale, needs)
                })?;
                (ImageInfo::Upscaler(model.info().clone()), Loaded::Upscaler(model), room)
            }
            ImageFamily::Dcgan => {
                let (model, room) =
                    DcganModel::load_planned(path, config.threads, |_, needs| admit(0, needs))?;
                (ImageInfo::Generator(model.info().clone()), Loaded::Generator(model), room)
            }
            ImageFamily::Style => {
                let (threads, pixels_max) = (config.threads, config.pixels_max.min(style::PIXELS_MAX));
                let (model, room) =
                    StyleModel::load_planned(path, threads, pixels_max, |_, needs| admit(1, needs))?;
                (ImageInfo::Stylist(model.info().clone()), Loaded::Stylist(model), room)
            }
        };
        Ok((Self { info, loaded }, room))
    }

    /// Refuse what this model does not do, before it waits.
    pub(super) fn check(&self, request: &ImageRequest) -> Result<(), EngineError> {
        match (&self.loaded, request) {
            (Loaded::Upscaler(_), ImageRequest::Upscale(_))
            | (Loaded::Generator(_), ImageRequest::Generate { .. })
            | (Loaded::Stylist(_), ImageRequest::Restyle { .. }) => Ok(()),
            _ => Err(misfit()),
        }
    }

    /// Make the picture. `goes_on` is told how many pieces are done of how many before each, and says whether the picture is still
    /// wanted; none where it is not.
    pub(super) fn make(
        &self,
        request: &ImageRequest,
        mut goes_on: impl FnMut(usize, usize) -> Result<bool, EngineError>,
    ) -> Result<Option<Picture>, EngineError> {
        match (&self.loaded, request) {
            (Loaded::Upscaler(model), ImageRequest::Upscale(picture)) => {
                let tiles = model.tiles(picture);
                let mut out = model.begin(picture);
                for (done, tile) in tiles.iter().enumerate() {
                    if !goes_on(done, tiles.len())? {
                        return Ok(None);
                    }
                    model.compute(picture, *tile, &mut out)?;
                }
                Ok(Some(out))
            }
            (Loaded::Generator(model), ImageRequest::Generate { seed }) => {
                if !goes_on(0, 1)? {
                    return Ok(None);
                }
                Ok(Some(model.generate(*seed)?))
            }
            (Loaded::Stylist(model), ImageRequest::Restyle { picture, weights }) => {
                if !goes_on(0, 1)? {
                    return Ok(None);
                }
                Ok(Some(model.restyle(picture, weights)?))
            }
            _ => Err(misfit()),
        }
    }
}

fn misfit() -> EngineError {
    let reason = "this model makes another kind of pictures".to_owned();
    ModelError::Unanswerable { parameter: "task", reason }.into()
}

impl Described for ImageModel {
    type Info = ImageInfo;

    fn info(&self) -> &ImageInfo {
        &self.info
    }
}
