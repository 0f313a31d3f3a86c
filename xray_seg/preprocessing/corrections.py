"""How a stored image is shown: what may be corrected, what was decided, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..radiograph import Radiograph

# Reasons for a decision. results.csv has them; they are an interface.
STATED = "stated"
APPEARANCE = "appearance"
ASSUMED = "assumed"
OPTION = "option"
BORDERS = "borders"
SECOND_LOOK = "second look"


@dataclass(frozen=True)
class Reading:
    """Another way to show a radiograph than the one it was taken to have.

    Attributes:
        swap_polarity: show dark what was shown bright.
        turn_deg: clockwise turn of what was shown: 0, 90, 180 or 270.
        whole: show the whole image, with the borders that were left out.
    """

    swap_polarity: bool = False
    turn_deg: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Presentation:
    """Why a radiograph is shown as it is.

    Attributes:
        polarity: ``stated`` by the file or the caller, ``appearance``, ``option`` or
            ``second look``.
        orientation: ``stated``, ``assumed`` (stored upright), ``option`` or ``second look``.
        field_of_view: ``stated``, ``borders`` (constant borders are left out), ``assumed`` (all of
            the image), ``option`` or ``second look``.
        notes: what a second look found, in words.
        may_swap, may_turn: whether a second look may change the polarity, and the orientation.
    """

    polarity: str = STATED
    orientation: str = ASSUMED
    field_of_view: str = ASSUMED
    notes: tuple[str, ...] = ()
    may_swap: bool = False
    may_turn: bool = False

    def after(self, reading: Reading) -> Presentation:
        """The reasons once a second look has chosen a reading."""
        return replace(
            self,
            polarity=SECOND_LOOK if reading.swap_polarity else self.polarity,
            orientation=SECOND_LOOK if reading.turn_deg else self.orientation,
            field_of_view=SECOND_LOOK if reading.whole else self.field_of_view,
        )


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """What may be corrected of stored images.

    Attributes:
        polarity: whether a second look may change the polarity.
        orientation: whether the orientation that a file states is used, and whether a second look
            may turn images.
        field_of_view: whether borders are left out, found or stated.
    """

    polarity: bool = False
    orientation: bool = False
    field_of_view: bool = False

    @property
    def looks_twice(self) -> bool:
        """Whether a second look may change anything."""
        return self.polarity or self.orientation or self.field_of_view

    def presentation(self, radiograph: Radiograph, *, has_borders: bool) -> Presentation:
        """The reasons of a first look.

        Args:
            radiograph: as it was read.
            has_borders: whether borders were found and left out.
        """
        polarity = STATED if self.polarity else OPTION
        if radiograph.inverted is None:
            polarity = APPEARANCE
        orientation = OPTION
        if self.orientation:
            orientation = ASSUMED if radiograph.orientation is None else STATED
        field = OPTION
        if self.field_of_view:
            stated = ASSUMED if radiograph.field_of_view is None else STATED
            field = BORDERS if has_borders else stated
        return Presentation(
            polarity, orientation, field, may_swap=self.polarity, may_turn=self.orientation
        )


#: Of radiographs made by hand.
AS_STATED = Presentation()
#: For training: masks cover the whole image as it is stored.
NONE = Corrections()
#: For inference.
ALL = Corrections(polarity=True, orientation=True, field_of_view=True)
