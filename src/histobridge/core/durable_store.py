"""A zarr store on disk whose chunks survive a power cut; imports zarr, so import it inside functions."""

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from histobridge.core.files import write_bytes


class DurableStore(LocalStore):
    """A `LocalStore` that syncs each file before it takes the place of the old one."""

    async def set(self, key: str, value: Buffer) -> None:
        """Replace one chunk or metadata file atomically and durably."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, value.to_bytes())
