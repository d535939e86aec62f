"""What keeps a launch from being measured. A launch that cannot be measured is not one that measures as nothing.

MeasureError              measure_failed
├── UnreadableError       measure_unreadable       a file or directory cannot be read; it is named
├── IrregularFileError    measure_irregular_file   a pipe, a socket or a device among the files
├── TooLargeError         measure_too_large        more files than anybody wants to run
├── ChangedError (503)    measure_changed          a file was written while it was read: measure again
├── ChangedWhileStartingError (503)  changed_while_starting  the program may have loaded something else: start again
├── BytecodeError (503)   bytecode_changed         what was kept for programs to run is not what was made
├── BadLaunchError        measure_bad_launch       the description itself has no unambiguous measurement
└── InterpreterError      measure_interpreter      the interpreter does not say what it would import
"""

from standby.errors import PlatformError


class MeasureError(PlatformError):
    code = "measure_failed"


class UnreadableError(MeasureError):
    code = "measure_unreadable"


class IrregularFileError(MeasureError):
    code = "measure_irregular_file"


class TooLargeError(MeasureError):
    code = "measure_too_large"


class ChangedError(MeasureError):
    code = "measure_changed"
    status = 503
    retry = True


class ChangedWhileStartingError(MeasureError):
    code = "changed_while_starting"
    status = 503
    retry = True


class BytecodeError(MeasureError):
    code = "bytecode_changed"
    status = 503
    retry = True


class BadLaunchError(MeasureError):
    code = "measure_bad_launch"


class InterpreterError(MeasureError):
    code = "measure_interpreter"
