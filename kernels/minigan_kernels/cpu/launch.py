"""How the parts of a kernel come onto Numba's pool of threads: one compiled function a kernel.

Numba's own `prange` compiles a loop apart, in several forms, and takes two to three times as long for the
same machine code. So the few instructions that it would write stand here. A kernel is compiled as it is, and
beside it, in the same library, a `work` in the form that the pool calls:

    work(args, dimensions, steps, data)     parts args[0], args[0] + steps[0], ...; dimensions[0] of them

`data` points to the kernel's arguments. Numba's layers, TBB, OpenMP and its work queue, all offer

    numba_parallel_for(work, args, dimensions, steps, data, 1, 1, threads)

which cuts the range of parts into pieces and has each thread of the pool call `work` on some.
"""

import inspect
import types

from llvmlite import ir
from numba import types as numba_types
from numba.core import cgutils, compiler, registry
from numba.extending import intrinsic
from numba.np.ufunc import parallel as pool

from .compiling import OPTIONS, cached

VOID, INT, BYTES = ir.VoidType(), ir.IntType(64), ir.IntType(8).as_pointer()
WORK = ir.FunctionType(VOID, [BYTES.as_pointer(), INT.as_pointer(), INT.as_pointer(), BYTES])
PARALLEL_FOR = ir.FunctionType(VOID, [BYTES] * 5 + [INT] * 3)


RUN = """
def run({arguments}, parts):
    if not spread(({arguments},), parts):
        raise MemoryError("a kernel found no memory to work in")
"""


def launcher(kernel):
    """Compiled: run(..., parts) calls kernel(..., part, parts) for each part on the threads of Numba's pool,
    which must have been started; with -parts, one after the other on its own thread, as it does 1."""
    arguments = ", ".join(list(inspect.signature(kernel).parameters)[:-2])
    names = {"spread": _spread_of(kernel)}  # and one by one: Numba is slower to tell what a tuple is
    exec(compile(RUN.format(arguments=arguments), __file__, "exec"), names)
    run = types.FunctionType(names["run"].__code__, names, kernel.__name__)
    run.__module__, run.__qualname__, run.__doc__ = kernel.__module__, kernel.__qualname__, kernel.__doc__
    return cached(run)


def start():
    """Start the pool, unless it runs."""
    pool._launch_threads()


def _spread_of(kernel):
    @intrinsic
    def spread(typing, arguments, parts):
        """Whether all parts came to their end."""

        def write(context, builder, signature, values):
            call = _compiled(context, kernel, arguments.types)
            return _write_spread(builder, call, *values)

        return numba_types.boolean(arguments, numba_types.int64), write

    return spread


def _compiled(context, kernel, argument_types):
    """kernel(*argument_types, part, parts), compiled into the library that is being written: a function that
    writes a call of it, and gives whether that failed."""
    argument_types = (*argument_types, numba_types.int64, numba_types.int64)
    flags = compiler.Flags()
    registry.cpu_target.options.parse_as_flags(flags, OPTIONS)
    flags.nrt = flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.noalias = True  # no kernel is given one memory twice, and writes to it
    code = compiler.compile_internal(
        context.typing_context,
        context,
        context.active_code_library,
        kernel,
        argument_types,
        numba_types.none,
        flags,
        {},
    )

    def call(builder, values):
        values = [_borrowed(context, builder, *pair) for pair in zip(argument_types, values, strict=True)]
        function = context.declare_function(builder.module, code.fndesc)
        status, _ = context.call_conv.call_function(
            builder, function, numba_types.none, argument_types, values
        )
        return status.is_error

    return call


def _borrowed(context, builder, type, value):
    """An array without its owner. Each slice of it would be counted there, by all threads in one place."""
    if not isinstance(type, numba_types.Array):
        return value
    array = context.make_array(type)(context, builder, value)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()


def _write_spread(builder, call, arguments, parts):
    together = builder.icmp_signed(">", parts, INT(1))
    parts = builder.select(builder.icmp_signed("<", parts, INT(0)), builder.neg(parts), parts)
    module, form = builder.module, ir.LiteralStructType([arguments.type, INT, INT])
    data = cgutils.alloca_once(builder, form)  # arguments, parts, and how many parts failed
    for i, value in enumerate((arguments, parts, INT(0))):
        builder.store(value, cgutils.gep_inbounds(builder, data, 0, i))
    given = [cgutils.alloca_once_value(builder, value) for value in (BYTES(None), parts, INT(1))]
    work = _write_work(module, form, call)
    with builder.if_else(together) as (on_threads, alone):
        with on_threads:
            threads = builder.call(
                cgutils.get_or_insert_function(module, ir.FunctionType(INT, []), "get_num_threads"), []
            )
            parallel_for = cgutils.get_or_insert_function(module, PARALLEL_FOR, "numba_parallel_for")
            pointers = [builder.bitcast(pointer, BYTES) for pointer in (work, *given, data)]
            builder.call(parallel_for, [*pointers, INT(1), INT(1), threads])
        with alone:
            builder.call(work, [*given, builder.bitcast(data, BYTES)])
    failed = builder.load(cgutils.gep_inbounds(builder, data, 0, 2))
    return builder.icmp_signed("==", failed, INT(0))


def _write_work(module, form, call):
    work = ir.Function(module, WORK, module.get_unique_name("work"))
    work.linkage = "internal"
    builder = ir.IRBuilder(work.append_basic_block())
    args, dimensions, steps, data = work.args
    data = builder.bitcast(data, form.as_pointer())
    arguments, parts = (builder.load(cgutils.gep_inbounds(builder, data, 0, i)) for i in (0, 1))
    values = [builder.extract_value(arguments, i) for i in range(len(arguments.type.elements))]
    first, step = builder.ptrtoint(builder.load(args), INT), builder.load(steps)
    with cgutils.for_range(builder, builder.load(dimensions)) as loop:
        part = builder.add(first, builder.mul(loop.index, step))
        with builder.if_then(call(builder, [*values, part, parts])):
            builder.store(INT(1), cgutils.gep_inbounds(builder, data, 0, 2))
    builder.ret_void()
    return work
