"""Texts of three topics (cooking, astronomy, football) in eight languages."""
# ruff: noqa: RUF001 - letters of many alphabets are what this module is about

from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Topic:
    """One topic of one language.

    Attributes:
        things: what it is about.
        frames: sentences with `{}` for a thing.
        sentences: further texts.
    """

    things: tuple[str, ...]
    frames: tuple[str, ...]
    sentences: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """All its texts."""
        return [*(frame.format(thing) for frame, thing in product(self.frames, self.things)), *self.sentences]


LANGUAGES = {
    "German": (
        Topic(
            ("Kartoffelsuppe", "Apfelkuchen", "Gemüseauflauf", "Sauerteigbrot"),
            (
                "Für die {} braucht man nur wenige Zutaten, die es in jedem Laden gibt.",
                "Das Rezept für {} ist von meiner Großmutter und wird auch heute noch gekocht.",
                "Wir haben die {} im Ofen gebacken und dann mit Butter serviert.",
            ),
            (
                "Den Teig sollte man über Nacht ruhen lassen.",
                "Die Butter wird im Topf geschmolzen und mit Mehl verrührt.",
            ),
        ),
        Topic(
            ("Galaxie", "Supernova", "Doppelsterne", "Milchstraße"),
            (
                "Mit dem Teleskop konnte man die {} zum ersten Mal genau beobachten.",
                "Die {} ist viele Lichtjahre von der Erde entfernt und wird noch erforscht.",
                "Es gibt auch neue Bilder, die das Teleskop von der {} gemacht hat.",
            ),
            ("Der Planet kreist in nur drei Tagen um seinen Stern.", "Die Astronomen haben einen Planeten entdeckt."),
        ),
        Topic(
            ("Torwart", "Stürmer", "Trainer", "Schiedsrichter"),
            (
                "Der {} war nach dem Spiel mit der Mannschaft nicht zufrieden.",
                "In der zweiten Halbzeit hat der {} das Spiel für die Mannschaft entschieden.",
                "Auch der {} wird in der nächsten Saison bei dem Verein bleiben.",
            ),
            (
                "Das Tor fiel erst in der Nachspielzeit.",
                "Der Verein ist nach der Niederlage in der Tabelle nur Dritter.",
            ),
        ),
    ),
    "French": (
        Topic(
            ("soupe", "tarte", "sauce", "ratatouille"),
            (
                "Pour la {} il faut des légumes frais et une cuillère de farine.",
                "La recette de la {} est très simple et se prépare dans une casserole.",
                "On peut servir la {} avec du beurre et un peu de fromage.",
            ),
            ("Le fromage est ajouté à la fin de la cuisson.", "Faites fondre le beurre dans une casserole."),
        ),
        Topic(
            ("galaxie", "nébuleuse", "supernova", "comète"),
            (
                "Le télescope a permis de voir la {} pour la première fois.",
                "La {} est à des milliers d'années-lumière de la Terre et on l'étudie encore.",
                "Les astronomes ont publié une image de la {} dans une revue.",
            ),
            (
                "La planète tourne autour de son étoile en trois jours.",
                "Une nouvelle planète a été découverte par les astronomes.",
            ),
        ),
        Topic(
            ("gardien", "attaquant", "défenseur", "entraîneur"),
            (
                "Le {} de l'équipe a marqué un but dans le match de dimanche.",
                "Après le match, le {} n'était pas content de son équipe et du résultat.",
                "Il est possible que le {} quitte le club pour la prochaine saison.",
            ),
            ("Le club est dans le haut du championnat.", "Un but a été refusé par l'arbitre à la fin du match."),
        ),
    ),
    "Spanish": (
        Topic(
            ("sopa", "tortilla", "salsa", "ensalada"),
            (
                "Para la {} se necesita aceite de oliva y una cebolla picada.",
                "La receta de la {} es de mi abuela y se hace en una sartén.",
                "Hay que servir la {} con un poco de sal y también con aceite de oliva.",
            ),
            ("Se cuece la cebolla en la sartén con el aceite.", "La receta lleva patatas, que se pelan y se cortan."),
        ),
        Topic(
            ("galaxia", "nebulosa", "supernova", "estrella"),
            (
                "El telescopio espacial ha observado la {} por primera vez.",
                "La {} está a muchos años luz de la Tierra, pero se puede ver.",
                "Los astrónomos han publicado una imagen de la {} que es muy clara.",
            ),
            ("El planeta gira en torno a su estrella en tres días.", "Los astrónomos descubren un planeta nuevo."),
        ),
        Topic(
            ("portero", "delantero", "defensa", "entrenador"),
            (
                "El {} del equipo fue el mejor en el partido de ayer.",
                "En la segunda parte el {} marcó un gol para el equipo.",
                "El {} no va a jugar el próximo partido porque está lesionado.",
            ),
            ("El gol llegó en el último minuto del partido.", "La liga termina para el equipo con una derrota."),
        ),
    ),
    "Russian": (
        Topic(
            ("борща", "пирога", "соуса", "салата"),
            (
                "Для {} нужно взять свежие овощи и немного сливочного масла.",
                "Рецепт {} очень простой, и его можно приготовить на кухне за час.",
                "Это рецепт {}, который мы любим и в котором много овощей.",
            ),
            ("Тесто нужно оставить на ночь.", "Масло растопить в кастрюле и добавить муку, как в рецепте."),
        ),
        Topic(
            ("галактики", "туманности", "кометы", "звезды"),
            (
                "С помощью телескопа удалось увидеть свет {} в первый раз.",
                "Расстояние до {} очень большое, и его измеряют в световых годах.",
                "Астрономы получили снимок {}, который сделал телескоп на орбите.",
            ),
            ("Планета вращается вокруг звезды за три дня.", "Астрономы нашли планету, которая похожа на Землю."),
        ),
        Topic(
            ("вратарь", "нападающий", "защитник", "тренер"),
            (
                "После матча {} сказал, что команда играла не очень хорошо.",
                "В этом матче {} помог команде и забил гол во втором тайме.",
                "Это хорошо, что {} остаётся в команде и на следующий сезон.",
            ),
            ("Гол был забит на последней минуте.", "Команда занимает в чемпионате только третье место."),
        ),
    ),
    "Arabic": (
        Topic(
            ("الحساء", "الخبز", "الأرز", "الكعك"),
            (
                "يمكن تحضير {} في المطبخ مع قليل من الزبدة والملح.",
                "وصفة {} هذه من أسهل ما يمكن وهي من جدتي.",
                "يقدم {} مع الزبدة على المائدة في كل يوم.",
            ),
            ("يترك العجين في مكان دافئ.", "توضع الزبدة مع الطحين في المطبخ."),
        ),
        Topic(
            ("المجرة", "السديم", "النجم", "المذنب"),
            (
                "تمكن التلسكوب من رصد {} في الفضاء لأول مرة.",
                "يبعد {} عن الأرض ملايين السنين الضوئية كما قال علماء الفلك.",
                "نشر علماء الفلك صورة من التلسكوب عن {} في الفضاء.",
            ),
            ("يدور الكوكب حول النجم في ثلاثة أيام.", "اكتشف علماء الفلك هذا الكوكب من التلسكوب."),
        ),
        Topic(
            ("الحارس", "المهاجم", "المدرب", "المدافع"),
            (
                "سجل {} في المباراة هدفا من خارج منطقة الجزاء.",
                "قال {} بعد المباراة إن الفريق لم يلعب كما يجب.",
                "سوف يبقى {} مع الفريق في الموسم القادم.",
            ),
            ("جاء الهدف في نهاية المباراة.", "خسر الفريق في الدوري من هذا الموسم."),
        ),
    ),
    "Korean": (
        Topic(
            ("김치찌개", "된장국", "비빔밥", "떡볶이"),
            (
                "{}를 만들 때에는 신선한 재료가 필요하다.",
                "이 요리의 재료는 {}에 가장 잘 맞는 것으로 알려져 있다.",
                "어머니의 요리를 배워서 {}도 집에서 만들 수 있다.",
            ),
            ("양파를 볶고 재료를 냄비에 넣는다.", "요리에서 가장 중요한 것은 재료이다."),
        ),
        Topic(
            ("은하", "혜성", "성운", "초신성"),
            (
                "망원경으로 {}의 모습을 관측할 수 있다.",
                "천문학자는 {}에서 오는 빛을 망원경으로 분석했다.",
                "새로운 망원경은 {}까지의 거리를 재는 데 쓰인다.",
            ),
            ("행성은 별의 주위를 돌고 있다.", "천문학자가 새로운 행성을 발견했다."),
        ),
        Topic(
            ("골키퍼", "공격수", "수비수", "주장"),
            (
                "{}는 이번 경기에서 가장 좋은 선수로 뽑혔다.",
                "감독은 경기 후에 {}의 활약을 칭찬했다.",
                "다음 경기에는 {}도 나올 수 있다고 감독이 말했다.",
            ),
            ("축구 선수들이 경기장에서 훈련을 했다.", "이번 축구 경기는 무승부로 끝났다."),
        ),
    ),
    "Japanese": (
        Topic(
            ("味噌汁", "カレーライス", "天ぷら", "野菜炒め"),
            (
                "{}を作るときには新鮮な野菜を使うことが大切です。",
                "この料理のレシピは{}にも使うことができます。",
                "母から料理を習って、{}も家で作れるようになりました。",
            ),
            ("玉ねぎを炒めてからバターを加えます。", "料理で一番大切なのは新鮮な野菜を選ぶことです。"),
        ),
        Topic(
            ("銀河系", "超新星", "ブラックホール", "小惑星"),
            (
                "宇宙望遠鏡を使って{}の姿を観測することができました。",
                "天文学者は{}からの光を宇宙望遠鏡で調べています。",
                "{}までの距離は何万光年もあると考えられています。",
            ),
            ("惑星は恒星のまわりを回っています。", "天文学者が新しい惑星を発見しました。"),
        ),
        Topic(
            ("ゴールキーパー", "監督", "主将", "審判"),
            (
                "{}は試合のあとでチームの選手をほめました。",
                "この試合では{}がとても良かったと言われています。",
                "次の試合にも{}が出ることになっています。",
            ),
            ("サッカーの試合は引き分けで終わりました。", "サッカー選手たちがスタジアムで練習しています。"),
        ),
    ),
    "Chinese": (
        Topic(
            ("番茄炒蛋", "红烧肉", "饺子", "豆腐汤"),
            (
                "做{}的时候需要新鲜的蔬菜和一点食用油。",
                "这个{}的烹饪方法很简单，在家里也可以做。",
                "我们把{}放在锅里，再加上一点食用油。",
            ),
            ("先把蔬菜洗干净，然后放在锅里炒。", "烹饪方法对味道的影响是很大的。"),
        ),
        Topic(
            ("银河系", "超新星", "黑洞", "小行星"),
            (
                "天文学家用太空望远镜观测到了{}的样子。",
                "{}离我们很远，它的光要走很多光年。",
                "这是太空望远镜所拍摄的{}的照片，它是很清楚的。",
            ),
            ("行星在自己的轨道上围绕恒星转动。", "天文学家发现了一颗新的行星。"),
        ),
        Topic(
            ("守门员", "前锋", "主教练", "裁判"),
            (
                "{}在昨天的足球比赛中表现得很好。",
                "球迷认为{}是这场足球比赛的关键。",
                "因为受伤，{}不能参加下一场的比赛了。",
            ),
            ("足球俱乐部在联赛中只得了第三名。", "球迷在体育场里等了很久。"),
        ),
    ),
}
"""Topics by language."""
