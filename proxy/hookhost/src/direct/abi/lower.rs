//! From values to a hook's memory. Only the hook can say where a string or a list goes, by its `cabi_realloc`; so a value
//! is first cut into blocks, and each is written when the hook has given a place for it (`load::rewrite` says how).

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Result;

use super::super::kept::Written;
use super::Abi;
use crate::fault::Broken;

/// Largest value that a function of the contract returns by a pointer, in bytes.
const MAX_RETURN: usize = 24;

/// A value on its way into a hook's memory. Kept for the next one, for its room.
#[derive(Default)]
pub(crate) struct Lowering {
    blocks: Vec<Block>,
    /// The block that waits for its place.
    next: usize,
    /// What this has written to the hook's memory, if that is wanted.
    pub(crate) written: Option<Written>,
}

/// Bytes that lie together.
struct Block {
    data: Data,
    align: u32,
    /// Where its address has to be written: a block before it, and the offset there.
    parent: usize,
    offset: usize,
    /// Its own address, once it has one.
    address: usize,
}

/// The bytes of a block; those that the embedder keeps are not copied on their way.
enum Data {
    Return([u8; MAX_RETURN], usize),
    Owned(Vec<u8>),
    Shared(Arc<[u8]>),
    Part(Bytes),
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Return(bytes, size) => bytes.get(..*size).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Part(bytes) => bytes,
        }
    }
}

impl Lowering {
    /// Cuts a value into blocks and writes the first, which goes to where the hook wants the result.
    pub(crate) fn begin<T: Store>(&mut self, memory: &mut [u8], at: u32, value: T) -> Result<()> {
        const { assert!(T::SIZE <= MAX_RETURN, "MAX_RETURN is too small") };
        let address = at as usize;
        if !address.is_multiple_of(T::ALIGN) {
            return Err(Broken("pointer not aligned").into());
        }
        if address + T::SIZE > memory.len() {
            return Err(Broken("pointer out of bounds of memory").into());
        }
        self.blocks.clear();
        let data = Data::Return([0; MAX_RETURN], T::SIZE);
        self.blocks.push(Block { data, align: 0, parent: 0, offset: 0, address });
        value.store(self, 0, 0)?;
        self.next = 1;
        if let Some(written) = &mut self.written {
            written.by_host(address, T::SIZE);
        }
        self.blocks.first().map_or(Ok(()), |first| put(memory, address, first.data.bytes()))
    }

    /// What the hook has to allocate next: alignment in the upper half, size in the lower; 0 at the end, since no
    /// alignment is 0.
    pub(crate) fn wants(&mut self) -> Result<u64> {
        let Some(block) = self.blocks.get(self.next) else {
            self.blocks.clear();
            return Ok(0);
        };
        let size = u32::try_from(block.data.bytes().len()).map_err(|_| TOO_LARGE)?;
        Ok(u64::from(block.align) << 32 | u64::from(size))
    }

    /// Writes the block that was waited for to where the hook has allocated room.
    pub(crate) fn allocated(&mut self, memory: &mut [u8], at: u32) -> Result<()> {
        let (before, rest) = self.blocks.split_at_mut(self.next);
        let block = rest.first_mut().ok_or(Broken("nothing was to be allocated"))?;
        if !at.is_multiple_of(block.align) {
            return Err(Broken("realloc return: result not aligned").into());
        }
        block.address = at as usize;
        let bytes = block.data.bytes();
        if block.address + bytes.len() > memory.len() {
            return Err(Broken("realloc return: beyond end of memory").into());
        }
        put(memory, block.address, bytes)?;
        let parent = before.get(block.parent).ok_or(Broken("a block without a parent"))?;
        let pointer = at.to_le_bytes();
        put(memory, parent.address + block.offset, &pointer)?;
        if let Some(written) = &mut self.written {
            written.by_host(block.address, bytes.len());
            written.by_host(parent.address + block.offset, pointer.len());
        }
        self.next += 1;
        Ok(())
    }

    /// Puts bytes into a block that is being made.
    pub(super) fn write(&mut self, block: usize, at: usize, bytes: &[u8]) -> Result<()> {
        match self.blocks.get_mut(block).map(|block| &mut block.data) {
            Some(Data::Return(data, _)) => put(data, at, bytes),
            Some(Data::Owned(data)) => put(data, at, bytes),
            Some(Data::Shared(_) | Data::Part(_)) | None => Err(Broken("no such block").into()),
        }
    }

    /// A pointer and a length at `at` in a block, and the block that they stand for. Returns its number.
    fn point(&mut self, block: usize, at: usize, length: usize, align: usize, data: Data) -> Result<usize> {
        let length = u32::try_from(length).map_err(|_| TOO_LARGE)?;
        self.write(block, at + 4, &length.to_le_bytes())?;
        // No type is aligned to more than eight bytes.
        let align = u32::try_from(align).unwrap_or(8);
        self.blocks.push(Block { data, align, parent: block, offset: at, address: 0 });
        Ok(self.blocks.len() - 1)
    }
}

const TOO_LARGE: Broken = Broken("value too large for the hook's memory");

fn put(memory: &mut [u8], at: usize, bytes: &[u8]) -> Result<()> {
    let room = memory.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
    room.ok_or(Broken("pointer out of bounds of memory"))?.copy_from_slice(bytes);
    Ok(())
}

/// What can go into memory.
pub(crate) trait Store: Abi + Sized {
    /// Puts the value into a block at an offset, and what it points to into blocks behind.
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()>;

    /// Puts a list there.
    fn store_list(list: Vec<Self>, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        let data = Data::Owned(vec![0; list.len() * Self::SIZE]);
        let inner = to.point(block, at, list.len(), Self::ALIGN, data)?;
        list.into_iter().enumerate().try_for_each(|(nth, value)| value.store(to, inner, nth * Self::SIZE))
    }
}

impl Store for u8 {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        to.write(block, at, &[self])
    }

    fn store_list(list: Vec<Self>, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        to.point(block, at, list.len(), 1, Data::Owned(list)).map(drop)
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Store for $number {
            fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
                to.write(block, at, &self.to_le_bytes())
            }
        }
    )*};
}

numbers!(u16, u32, u64, f64);

impl Store for () {
    fn store(self, _: &mut Lowering, _: usize, _: usize) -> Result<()> {
        Ok(())
    }
}

impl Store for bool {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        to.write(block, at, &[self.into()])
    }
}

impl Store for String {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        u8::store_list(self.into_bytes(), to, block, at)
    }
}

impl<T: Store> Store for Vec<T> {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        T::store_list(self, to, block, at)
    }
}

impl Abi for Arc<[u8]> {
    const SIZE: usize = Vec::<u8>::SIZE;
    const ALIGN: usize = Vec::<u8>::ALIGN;
    #[cfg(test)]
    fn describe() -> String {
        Vec::<u8>::describe()
    }
}

impl Store for Arc<[u8]> {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        to.point(block, at, self.len(), 1, Data::Shared(self)).map(drop)
    }
}

impl Abi for Bytes {
    const SIZE: usize = Vec::<u8>::SIZE;
    const ALIGN: usize = Vec::<u8>::ALIGN;
    #[cfg(test)]
    fn describe() -> String {
        Vec::<u8>::describe()
    }
}

impl Store for Bytes {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        to.point(block, at, self.len(), 1, Data::Part(self)).map(drop)
    }
}

impl<T: Store> Store for Option<T> {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        to.write(block, at, &[self.is_some().into()])?;
        self.map_or(Ok(()), |value| value.store(to, block, at + super::align_up(1, T::ALIGN)))
    }
}

impl<T: Store, E: Store> Store for std::result::Result<T, E> {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        to.write(block, at, &[self.is_err().into()])?;
        let payload = at + super::align_up(1, Self::ALIGN);
        match self {
            Ok(value) => value.store(to, block, payload),
            Err(error) => error.store(to, block, payload),
        }
    }
}

impl<A: Store, B: Store> Store for (A, B) {
    fn store(self, to: &mut Lowering, block: usize, at: usize) -> Result<()> {
        self.0.store(to, block, at)?;
        self.1.store(to, block, at + super::align_up(A::SIZE, B::ALIGN))
    }
}
