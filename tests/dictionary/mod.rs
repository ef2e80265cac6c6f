//! Tests of the `dictionary` component.

mod v1;
mod v2;
