//! The variants of an enum as an array, from the slice that `strum::VariantArray` gives.

/// The variants as an array of their number, for constants.
pub(crate) const fn all<T: Copy, const N: usize>(variants: &[T]) -> [T; N] {
    match variants.first_chunk() {
        Some(all) => *all,
        // Fails when the constant is compiled, not at run time.
        None => panic!("N is larger than the number of variants"),
    }
}
