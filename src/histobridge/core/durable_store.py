"""A zarr store on disk whose chunks survive a power cut; imports zarr, so import it inside functions."""

# The whole before its parts: threads that load them in another order meet each other half-way, and both fail.
import zarr
import zarr.storage
from zarr.core.buffer import Buffer

from histobridge.core.files import write_bytes


class DurableStore(zarr.storage.LocalStore):
    """A `zarr.storage.LocalStore` that syncs each file before it takes the place of the old one."""

    async def set(self, key: str, value: Buffer) -> None:
        """Replace one chunk or metadata file atomically and durably."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, value.to_bytes())
