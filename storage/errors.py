"""Everything that storage raises on purpose.

Each message is one line: what was expected, what was found, what to do.
"""


class StorageError(Exception):
    """Root of all errors of this package."""


class ArchiveError(StorageError):
    """Raised when an archive directory is missing, is no directory, or cannot be written."""


class ArchiveAheadError(StorageError):
    """Raised when an archive holds sequences of a ring that the ring itself has not come to yet."""


class RecorderBusyError(StorageError):
    """Raised when another recorder already writes the same ring into the same archive."""


class RecorderMemoryError(StorageError):
    """Raised when a recorder gets no memory, or no thread, for what it has to do."""


class SegmentFormatError(StorageError):
    """Raised when bytes are not what a recorder can have written."""


class BatchRefusedError(StorageError):
    """Raised when a batch cannot go into a segment: another schema, or sequences that do not rise."""


class SegmentWriteError(StorageError):
    """Raised when the system refused a write; the segment is as it was before unless `broken` says otherwise."""


class CompactionError(StorageError):
    """Raised when Parquet files do not hold what they were made from, or another compaction is at work."""


class QueryError(StorageError):
    """Raised when a question to an archive is not one: a wrong column, moment or query."""


class ImportRefusedError(StorageError):
    """Raised when nothing of a file, or of an import, goes into an archive."""


class NotACaptureError(ImportRefusedError):
    """Raised when a file to be imported cannot be read or is no capture."""


class AlreadyImportedError(ImportRefusedError):
    """Raised when an archive holds the packets of a file already."""


class FilterError(StorageError):
    """Raised when a packet filter is refused by libpcap, or there is no libpcap to ask."""


class ExportError(StorageError):
    """Raised when an export cannot be written, or is asked for what it cannot be."""


class CaptureFileError(StorageError):
    """Raised when a capture file cannot be read, or is damaged."""
