//! The upgrade from rows to chunks: the previous build and this one read the same datasets.
