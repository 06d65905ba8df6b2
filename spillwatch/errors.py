"""Every error that spillwatch raises on purpose.

SpillwatchError
├── ConfigError     a setting is wrong: the key, the value and the mend
├── SourceError     frames cannot be had: a file, a stream, a device
│   └── RefusedError    ... for the camera is there and says no
├── WellsError      a wells file is wrong or does not fit the picture
├── ModelError      a model or its training data is wrong
├── PublishError    a message cannot be handed on, a report not be written
├── CommandError    what somebody asks cannot be done
├── SpreadingError  the processes that share a long job cannot be had
└── StoreError      the state directory cannot keep what must survive

Each carries one sentence for a person; the command line prints it and exits, without a traceback.
Foreign errors are turned into these at the edge where they appear, with ``raise ... from exc``.
"""


class SpillwatchError(Exception):
    """Base of all; its text is one sentence that names the thing, the value and the mend."""


class ConfigError(SpillwatchError):
    """A setting is missing, misspelt or out of range."""


class SourceError(SpillwatchError):
    """A video, stream or camera gives no (more) frames."""


class RefusedError(SourceError):
    """A camera refuses this account: to ask again soon is no use and may lock it."""


class WellsError(SpillwatchError):
    """A wells file is unreadable or its wells do not fit the frame."""


class ModelError(SpillwatchError):
    """A model file or a training folder cannot be used."""


class PublishError(SpillwatchError):
    """An event cannot be delivered, or a report not be written."""


class CommandError(SpillwatchError):
    """A command is malformed, not allowed, or makes no sense now."""


class SpreadingError(SpillwatchError):
    """A scheduler does not answer, has no workers, or is lost."""


class StoreError(SpillwatchError):
    """The database cannot be read or written."""
