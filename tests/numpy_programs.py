"""Random row functions over NumPy's scalars: expressions, conditions, loops and builtins, valid by construction as far as kinds go."""

import random

COLUMNS = {"x": "float", "y": "float", "i": "int", "k": "int", "b": "bool"}
OF_FLOAT = ["float64", "float64", "float64", "float32"]
OF_INT = ["int64", "int64", "int32", "uint8", "int16"]
ARITHMETIC = ["+", "-", "*", "+", "-", "*", "/", "//", "%"]
COMPARE = ["<", "<=", ">", ">=", "==", "!="]
CONSTANTS = ["0", "1", "2", "3", "-1", "7", "0.5", "2.0", "1e200", "-3.25", "True"]
OF_MATH = ["math.sqrt", "math.floor", "math.fabs", "math.exp", "math.isnan", "math.isfinite"]


class Program:
    """One function of all columns; names of locals are v0, v1 ..."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names = list(COLUMNS)
        self.lines: list[str] = []
        for name, kind in COLUMNS.items():
            pick = self.chance.random()
            if kind == "bool":
                self.lines.append(f"{name} = np.bool_({name})" if pick < 0.5 else "pass")
            elif pick < 0.8:
                types = OF_FLOAT if kind == "float" else OF_INT
                self.lines.append(f"{name} = np.{self.chance.choice(types)}({name})")
        for _ in range(self.chance.randint(1, 4)):
            self.statement(0)

    def text(self) -> str:
        body = "\n".join("    " + line for line in self.lines)
        return f"def f({', '.join(COLUMNS)}):\n{body}\n    return ({self.expression(2)},)\n"

    def add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def local(self) -> str:
        return self.chance.choice(self.names)

    def new(self) -> str:
        name = f"v{len(self.names)}"
        self.names.append(name)
        return name

    def condition(self, depth: int) -> str:
        one, two = self.expression(depth), self.expression(depth)
        match self.chance.randint(0, 6):
            case 0:
                return f"not {self.local()}"
            case 1:
                return f"{one} < {two} <= {self.local()}"
            case 2:
                return f"({one} > {two} {self.chance.choice(['and', 'or'])} {self.local()})"
            case _:
                return f"{one} {self.chance.choice(COMPARE)} {two}"

    def expression(self, depth: int) -> str:
        if depth == 0:
            return self.local() if self.chance.random() < 0.75 else self.chance.choice(CONSTANTS)
        one, two = self.expression(depth - 1), self.expression(depth - 1)
        match self.chance.randint(0, 13):
            case 0:
                return f"(-{one})"
            case 1:
                return f"abs({one})"
            case 2:
                return f"{self.chance.choice(['min', 'max'])}({one}, {two})"
            case 3:
                return f"({one} if {self.condition(0)} else {two})"
            case 4:
                return f"{self.chance.choice(['float', 'int', 'round', 'bool'])}({one})"
            case 5:
                return f"{self.chance.choice(OF_MATH)}({one})"
            case 6:
                return f"({one} {self.chance.choice(['and', 'or'])} {two})"
            case 7:
                return f"({self.condition(0)})"
            case 8:
                return f"sum([{one}, {two}, {self.local()}])"
            case 9:
                return f"np.{self.chance.choice(OF_FLOAT + OF_INT)}({one})"
            case _:
                return f"({one} {self.chance.choice(ARITHMETIC)} {two})"

    def statement(self, depth: int) -> None:
        match self.chance.randint(0, 7):
            case 0 | 1 if depth < 2:
                self.loop(depth)
            case 2 if depth < 3:
                self.branch(depth)
            case 3 | 4:
                operator = self.chance.choice(ARITHMETIC)
                self.add(depth, f"{self.local()} {operator}= {self.expression(1)}")
            case _:
                value = self.expression(2)
                self.add(depth, f"{self.new() if depth == 0 else self.local()} = {value}")

    def loop(self, depth: int) -> None:
        total, turn = self.chance.choice(["0", "0.0", self.local()]), self.new()
        name = self.new()
        self.add(depth, f"{turn} = 0")
        self.add(depth, f"{name} = {total}")
        bound = self.chance.choice(["5", "3", "abs(int(i)) % 6", "abs(k) % 4"])
        self.add(depth, f"for {turn} in range({bound}):")
        operator = self.chance.choice(["+", "+", "-", "*", "/"])
        self.add(depth + 1, f"{name} {operator}= {self.expression(1)}")
        if self.chance.random() < 0.4:
            self.statement(depth + 1)
        if self.chance.random() < 0.3:
            self.add(depth + 1, f"if {self.condition(1)}:")
            self.add(depth + 2, "break")

    def branch(self, depth: int) -> None:
        self.add(depth, f"if {self.condition(1)}:")
        self.statement(depth + 1)
        if self.chance.random() < 0.6:
            self.add(depth, "else:")
            self.statement(depth + 1)
