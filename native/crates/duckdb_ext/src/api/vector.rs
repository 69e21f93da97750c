//! A column of one chunk: reading arguments from it and writing results into it.

use super::ffi::{api, Handle, SUCCESS};
use std::marker::PhantomData;

/// `duckdb_string_t`: up to 12 bytes in place, longer text behind a pointer.
#[repr(C)]
#[derive(Clone, Copy)]
union StringSlot {
    inlined: InlinedString,
    pointer: PointerString,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct InlinedString {
    length: u32,
    bytes: [u8; 12],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct PointerString {
    length: u32,
    prefix: [u8; 4],
    bytes: *const u8,
}

const INLINE_LENGTH: u32 = 12;
const _: () = assert!(std::mem::size_of::<StringSlot>() == 16);

/// `duckdb_list_entry`: where a row's elements lie in the child vector.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ListEntry {
    /// Number of the row's first element in the child vector.
    pub offset: u64,
    /// How many elements the row has.
    pub length: u64,
}

/// Types whose values lie in a vector as they are in Rust.
pub trait Plain: Copy + 'static {}
impl Plain for i32 {}
impl Plain for i64 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for f64 {}
impl Plain for ListEntry {}

/// A vector of the chunk that DuckDB hands to a callback, valid while the callback runs (`'v`).
///
/// Reading and writing take row numbers; the caller keeps them below the number of rows of the
/// chunk (or, for the child of a list, below what was reserved).
#[derive(Clone, Copy)]
pub struct Vector<'v> {
    handle: Handle,
    chunk: PhantomData<&'v ()>,
}

impl<'v> Vector<'v> {
    /// # Safety
    /// `handle` is a flat `duckdb_vector` that lives as long as `'v`.
    pub unsafe fn from_handle(handle: Handle) -> Self {
        Vector { handle, chunk: PhantomData }
    }

    /// Whether the row is not NULL.
    pub fn is_valid(&self, row: usize) -> bool {
        // SAFETY: the mask is null (all rows valid) or has one bit a row.
        unsafe {
            let mask = (api().vector_get_validity)(self.handle);
            mask.is_null() || *mask.add(row / 64) >> (row % 64) & 1 == 1
        }
    }

    /// Makes the row NULL.
    pub fn set_null(&self, row: usize) {
        // SAFETY: after `ensure_validity_writable` the mask is there and has one bit a row.
        unsafe {
            (api().vector_ensure_validity_writable)(self.handle);
            let mask = (api().vector_get_validity)(self.handle);
            *mask.add(row / 64) &= !(1 << (row % 64));
        }
    }

    /// Child `index` of a struct vector.
    pub fn struct_child(&self, index: usize) -> Vector<'v> {
        // SAFETY: the caller's SQL type says that this is a struct with more than `index` fields;
        // the child lives as long as its parent.
        unsafe { Vector::from_handle((api().struct_vector_get_child)(self.handle, index as u64)) }
    }

    /// Child of a list vector.
    pub fn list_child(&self) -> Vector<'v> {
        // SAFETY: the caller's SQL type says that this is a list; the child lives as long as it.
        unsafe { Vector::from_handle((api().list_vector_get_child)(self.handle)) }
    }

    /// Grows the child of a list vector by `length` elements, makes row `row` point at them and
    /// gives the first one's number. Fails when DuckDB has no memory for them.
    pub fn list_append(&self, row: usize, length: usize) -> Result<usize, String> {
        // SAFETY: this is a list vector (see `list_child`); the size is set after the reserve.
        let offset = unsafe {
            let offset = (api().list_vector_get_size)(self.handle);
            let size = offset + length as u64;
            if (api().list_vector_reserve)(self.handle, size) != SUCCESS
                || (api().list_vector_set_size)(self.handle, size) != SUCCESS
            {
                return Err(format!("no memory for a list of {length} elements"));
            }
            offset
        };
        self.write(row, ListEntry { offset, length: length as u64 });
        Ok(offset as usize)
    }

    /// The value of a row that is not NULL; `T` is what the vector's SQL type holds.
    pub fn read<T: Plain>(&self, row: usize) -> T {
        // SAFETY: the caller's SQL type says that the data are `T`s, and `row` is in the chunk.
        unsafe { *self.data::<T>().add(row) }
    }

    /// Writes a row's value; `T` is what the vector's SQL type holds.
    pub fn write<T: Plain>(&self, row: usize, value: T) {
        // SAFETY: as for `read`; DuckDB gives the output vector to this callback alone.
        unsafe { *self.data::<T>().add(row) = value }
    }

    /// Writes values to the rows from `row` on, which the caller has reserved.
    pub fn write_slice<T: Plain>(&self, row: usize, values: &[T]) {
        // SAFETY: as for `write`; the caller reserved `values.len()` elements from `row` on, and a
        // fresh list child cannot overlap a slice that Rust owns.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.data::<T>().add(row), values.len()) }
    }

    /// The elements of row `row` of a list of `T`. NULL elements read as whatever lies there:
    /// check the child's validity first.
    pub fn read_list<T: Plain>(&self, row: usize) -> &'v [T] {
        let entry: ListEntry = self.read(row);
        if entry.length == 0 {
            return &[];
        }
        // SAFETY: the entry of a valid row lies inside the child, which holds `T`s and is not
        // changed while the callback runs.
        unsafe {
            let data = self.list_child().data::<T>().add(entry.offset as usize);
            std::slice::from_raw_parts(data, entry.length as usize)
        }
    }

    /// The value of a row of a BOOLEAN vector that is not NULL.
    pub fn read_bool(&self, row: usize) -> bool {
        // SAFETY: BOOLEAN data are bytes; read as u8 because only 0 and 1 are a Rust bool.
        unsafe { *self.data::<u8>().add(row) != 0 }
    }

    /// Writes a row of a BOOLEAN vector.
    pub fn write_bool(&self, row: usize, value: bool) {
        // SAFETY: as for `write`.
        unsafe { *self.data::<u8>().add(row) = u8::from(value) }
    }

    /// The text of a VARCHAR row. DuckDB keeps VARCHAR valid UTF-8; a column that another
    /// extension broke is an error here rather than undefined behaviour.
    ///
    /// # Errors
    /// A text that is not UTF-8, with the place of its first bad byte.
    pub fn read_text(&self, row: usize) -> Result<&'v str, String> {
        // SAFETY: VARCHAR data are `duckdb_string_t`s. Both union members begin with the length,
        // which says which one is in use. The bytes live in the vector, so as long as `'v`.
        let bytes: &'v [u8] = unsafe {
            let slot: &'v StringSlot = &*self.data::<StringSlot>().add(row);
            let length = slot.inlined.length;
            if length <= INLINE_LENGTH {
                &slot.inlined.bytes[..length as usize]
            } else {
                std::slice::from_raw_parts(slot.pointer.bytes, length as usize)
            }
        };
        std::str::from_utf8(bytes).map_err(|error| {
            format!("a text of {} bytes is not valid UTF-8 from byte {} on", bytes.len(), error.valid_up_to())
        })
    }

    /// Writes a row of a VARCHAR vector; DuckDB copies the text.
    pub fn write_text(&self, row: usize, text: &str) {
        // SAFETY: DuckDB copies `text.len()` bytes from a live slice.
        unsafe {
            (api().vector_assign_string_element_len)(
                self.handle,
                row as u64,
                text.as_ptr().cast(),
                text.len() as u64,
            );
        }
    }

    fn data<T>(&self) -> *mut T {
        // SAFETY: the vector is live for `'v`. Fetched anew each time: growing a list moves its child.
        unsafe { (api().vector_get_data)(self.handle).cast() }
    }
}
